import type { CorsHeaders } from '../contract.js'

/** What browsers of other origins need for chunks in forms, beside what all protocols do. */
export const corsHeaders: CorsHeaders = {
  expose: [],
  allow: ['Content-Range']
}
