import type { CorsHeaders } from '../contract.js'

/** What browsers of other origins need for appended clips: what all protocols do. */
export const corsHeaders: CorsHeaders = {
  expose: [],
  allow: []
}
