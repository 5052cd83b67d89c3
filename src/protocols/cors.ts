import type { CorsHeaders } from './contract.js'
import { corsHeaders as chunkTasks } from './chunk-tasks/cors.js'
import { corsHeaders as contentRange } from './content-range/cors.js'
import { corsHeaders as formAppend } from './form-append/cors.js'
import { corsHeaders as rawAppend } from './raw-append/cors.js'
import { corsHeaders as resumableHttp } from './resumable-http/cors.js'
import { withShared } from './shared-cors.js'
import { corsHeaders as tus } from './tus/cors.js'

/**
 * What browsers of other origins need, for all protocols of the package together. CORS itself is the host's:
 * `app.register(cors, { exposedHeaders: [...exposedHeaders], allowedHeaders: [...allowedHeaders], methods: [...allowedMethods] })`.
 */
const { expose, allow } = corsHeadersOf([contentRange, tus, resumableHttp, formAppend, chunkTasks, rawAppend])

/** Headers of replies that scripts may read (`Access-Control-Expose-Headers`). */
export const exposedHeaders: readonly string[] = expose

/** Headers that scripts may send (`Access-Control-Allow-Headers`). */
export const allowedHeaders: readonly string[] = allow

/** Methods that the protocols use (`Access-Control-Allow-Methods`). */
export const allowedMethods: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** The lists of several protocols as one, with what all of them share. */
function corsHeadersOf (lists: readonly CorsHeaders[]): CorsHeaders {
  return {
    expose: [...new Set(lists.flatMap(list => withShared(list).expose))],
    allow: [...new Set(lists.flatMap(list => withShared(list).allow))]
  }
}
