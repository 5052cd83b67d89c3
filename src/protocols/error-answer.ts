import type { FastifyRequest } from 'fastify'
import { BodyCut, BodyStalled, FormInvalid } from '../errors.js'
import type { RouteSetting, WordedError } from '../http/routing/routes.js'
import type { JsonObject } from '../upload.js'
import { Refusal } from './refusal.js'

/** What an error is for the client of a contract, before the contract's body is made of it. */
export interface ErrorAnswer {
  readonly statusCode: number
  /** The error's own, without `FST_CHUNKED_UPLOAD_`. */
  readonly code: string
  readonly message: string
  readonly headers: Readonly<Record<string, string>>
  /** What the body tells beside code and message. */
  readonly facts: JsonObject
  /** Of the status line on HTTP/1.1, where the contract has a status that HTTP does not know. */
  readonly reason?: string | undefined
}

/** A row of a contract's table of errors: what becomes of the errors that it knows. */
export type ErrorRow = (error: Error, request: FastifyRequest) => Partial<ErrorAnswer> | undefined

export type Kind<E extends Error> = abstract new (...values: never[]) => E

/**
 * A row of the table: an error of this kind is that answer. What the answer leaves out is the error's own.
 * @param answer as it is, or made of the error
 */
export function when<E extends Error> (
  kind: Kind<E>, answer: Partial<ErrorAnswer> | ((error: E, request: FastifyRequest) => Partial<ErrorAnswer>)
): ErrorRow {
  return (error, request) => {
    if (!(error instanceof kind)) return undefined
    return typeof answer === 'function' ? answer(error, request) : answer
  }
}

/** The same for errors of several kinds. */
export function whenAny (
  kinds: ReadonlyArray<Kind<Error>>, answer: Partial<ErrorAnswer> | ((error: Error, request: FastifyRequest) => Partial<ErrorAnswer>)
): ErrorRow {
  const rows = kinds.map(kind => when(kind, answer))
  return (error, request) => firstOf(rows, error, request)
}

export interface ErrorTable {
  /** The first row that knows an error counts. Errors of the package that no row knows keep their status and message. */
  readonly rows: readonly ErrorRow[]
  /** The body of a refusal, and its Content-Type where that is not Fastify's. */
  readonly body: (
    answer: ErrorAnswer, request: FastifyRequest, error: Error
  ) => { readonly body: unknown, readonly contentType?: string }
}

/** Clients that get one of these send the same again: busy, too many, out of service. */
const FOR_LATER = new Set([423, 429, 503])

/**
 * Words the errors of the package, those of the contract, and what Fastify says of an invalid Content-Type. All others are the host's: what
 * its hooks throw, say. What is to be tried again has a Retry-After of one second, unless the contract says another.
 */
export function wordErrors ({ rows, body }: ErrorTable): NonNullable<RouteSetting['wordError']> {
  const wordError: NonNullable<RouteSetting['wordError']> = (error, request): WordedError | undefined => {
    // A form that ends before its last boundary: the body came whole, it is the form that is cut.
    if (error instanceof BodyCut && error.cause instanceof FormInvalid) return wordError(error.cause, request)
    const own = ownAnswer(error)
    const row = firstOf(rows, error, request)
    if (own === undefined && row === undefined) return undefined
    const { statusCode, code, message, headers, facts, reason }: ErrorAnswer = {
      statusCode: 500, code: '', message: error.message, headers: {}, facts: {}, ...own, ...row
    }
    const worded = body({ statusCode, code, message, headers, facts, reason }, request, error)
    const closes = error instanceof BodyStalled && request.raw.httpVersionMajor === 1
    return {
      statusCode,
      ...reason !== undefined && { reason },
      headers: {
        ...FOR_LATER.has(statusCode) && { 'retry-after': '1' },
        // After so long a silence the connection is taken for dead.
        ...closes && { connection: 'close' },
        ...worded.contentType !== undefined && { 'content-type': worded.contentType },
        ...headers
      },
      body: worded.body
    }
  }
  return wordError
}

function firstOf (rows: readonly ErrorRow[], error: Error, request: FastifyRequest): Partial<ErrorAnswer> | undefined {
  for (const row of rows) {
    const answer = row(error, request)
    if (answer !== undefined) return answer
  }
  return undefined
}

function ownAnswer (
  error: Error & { readonly code?: string, readonly statusCode?: number }
): Partial<ErrorAnswer> | undefined {
  const { code = '', statusCode = 500, message } = error
  if (error instanceof Refusal) return { statusCode, code, message, headers: error.headers, facts: error.facts }
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return { statusCode, code, message }
  const own = /^FST_CHUNKED_UPLOAD_(.+)$/.exec(code)?.[1]
  return own === undefined ? undefined : { statusCode, code: own, message }
}
