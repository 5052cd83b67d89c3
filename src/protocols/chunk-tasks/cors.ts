import type { CorsHeaders } from '../contract.js'

/** What browsers of other origins need for tasks, beside what all protocols do. */
export const corsHeaders: CorsHeaders = {
  expose: ['X-Total'],
  allow: ['X-Encrypt-Password']
}
