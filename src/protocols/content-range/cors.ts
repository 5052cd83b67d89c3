import type { CorsHeaders } from '../contract.js'

/** What browsers of other origins need for chunks by Content-Range, beside what all protocols do. */
export const corsHeaders: CorsHeaders = {
  expose: ['Upload-Offset'],
  allow: ['Content-Range', 'Content-Disposition']
}
