/**
 * `config` of routes that tell by OPTIONS what the server can do. @fastify/cors answers OPTIONS before they reach a route, with 204, and
 * refuses those that are no preflights of a browser, as apps and other programs send them.
 */
export const discoveryConfig: object = { cors: { strictPreflight: false, optionsSuccessStatus: 200 } }
