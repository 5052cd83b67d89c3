import { isUtf8 } from 'node:buffer'
import type { CompletionReply } from '../../engine/index.js'
import type { JsonObject, JsonValue, Upload } from '../../upload.js'

/** The final reply to an upload, kept for clients that did not get it. */
export interface FinalAnswer {
  /** Left out: as the protocol words it for the request. */
  readonly statusCode?: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
}

/** The request to a route of the host that an upload stands for. */
export interface RoutedRequest {
  readonly method: string
  /** As the client asked for it, with its query. */
  readonly url: string
  /** Fields of the creation that the handler gets; neither credentials nor what belongs to one connection. */
  readonly headers: Readonly<Record<string, string>>
}

/** What the protocol remembers of an upload. */
export interface ResumableState {
  readonly answer?: FinalAnswer
  readonly route?: RoutedRequest
}

export function stateOf ({ protocolState: { answer, route } }: Pick<Upload, 'protocolState'>): ResumableState {
  return {
    ...isObject(answer) && {
      answer: {
        ...typeof answer.statusCode === 'number' && { statusCode: answer.statusCode },
        headers: textsOf(answer.headers),
        body: typeof answer.body === 'string' ? answer.body : null
      }
    },
    ...isObject(route) && typeof route.method === 'string' && typeof route.url === 'string' && {
      route: { method: route.method, url: route.url, headers: textsOf(route.headers) }
    }
  }
}

/** As the record keeps it. */
export function stored ({ answer, route }: ResumableState): JsonObject {
  return { ...answer !== undefined && { answer: { ...answer } }, ...route !== undefined && { route: { ...route } } }
}

/** What the host's `onComplete` wants to be answered. */
export function answerOf (wish: CompletionReply | undefined): FinalAnswer {
  const { statusCode, headers = {}, body } = wish ?? {}
  const type = body === undefined || 'content-type' in headers ? {} : { 'content-type': 'application/json; charset=utf-8' }
  return {
    ...statusCode !== undefined && { statusCode },
    headers: { ...type, ...headers },
    body: body === undefined ? null : JSON.stringify(body)
  }
}

/** The answer as a {@link CompletionReply}, for the engine to hand on. */
export function wishOf ({ statusCode, headers, body }: FinalAnswer): CompletionReply {
  return { ...statusCode !== undefined && { statusCode }, headers, body }
}

/** The other way round. */
export function answerIn (wish: CompletionReply | undefined): FinalAnswer {
  const { statusCode, headers = {}, body = null } = wish ?? {}
  return { ...statusCode !== undefined && { statusCode }, headers, body: typeof body === 'string' ? body : null }
}

/** A payload that can be kept as text; null for one that is large or no text. */
export function keptText (payload: unknown): string | null {
  if (typeof payload === 'string') return payload.length <= KEPT_BODY ? payload : null
  return payload instanceof Uint8Array && payload.length <= KEPT_BODY && isUtf8(payload) ? Buffer.from(payload).toString() : null
}

/** Bytes of a final reply that are kept. */
const KEPT_BODY = 64 * 1024

function isObject (value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textsOf (value: JsonValue | undefined): Readonly<Record<string, string>> {
  if (!isObject(value)) return {}
  return Object.fromEntries(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}
