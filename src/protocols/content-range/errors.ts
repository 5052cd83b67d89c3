import type { FastifyRequest } from 'fastify'
import {
  ChecksumMismatch, FormInvalid, JsonInvalid, LengthMismatch, OffsetMismatch, SizeConflict, SizeLimitExceeded, UploadBusy,
  UploadComplete, UploadExpired, UploadIncomplete, UploadNotFound
} from '../../errors.js'
import type { RouteSetting, WordedError } from '../../http/routing/routes.js'
import type { JsonObject, JsonValue } from '../../upload.js'
import type { Dialect } from './dialect.js'

/** A refusal that only this contract knows, worded where the rule stands. */
export class Refusal extends Error {
  constructor (readonly detail: JsonValue, readonly statusCode = 400) { super(typeof detail === 'string' ? detail : 'Invalid field') }
}

export const noChunk = (): Refusal => new Refusal('No chunk file was submitted')
export const unsupportedMediaType = (type: string): Refusal => new Refusal(`Unsupported media type "${type}" in request.`, 415)
export const emptyFile = (): Refusal => new Refusal({ file: ['The submitted file is empty.'] })

/** Turns errors into the contract's answers; those of the host's hooks and unknown ones are left to the host. */
export function wordingOf (dialect: Dialect, algorithm: string | false): NonNullable<RouteSetting['wordError']> {
  const answer = (statusCode: number, detail: JsonValue, more: JsonObject = {}): WordedError => ({ statusCode, body: { detail, ...more } })

  const word: NonNullable<RouteSetting['wordError']> = (error, request) => {
    if (error instanceof Refusal) return answer(error.statusCode, error.detail)
    if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return answer(415, unsupportedMediaType(contentType(request)).detail)
    if (error instanceof UploadNotFound) return answer(404, 'Not found.')
    if (error instanceof UploadExpired) return answer(410, 'Upload has expired')
    if (error instanceof UploadComplete) return answer(400, dialect.alreadyComplete)
    if (error instanceof SizeLimitExceeded) return answer(400, `Size of file exceeds the limit (${error.limit} bytes)`)
    if (error instanceof SizeConflict) return answer(400, `Total size does not match the first chunk (${error.size} bytes)`)
    if (error instanceof LengthMismatch) {
      return answer(400, `File size doesn't match headers: file size is ${error.actual} but ${error.expected} reported`)
    }
    if (error instanceof OffsetMismatch) {
      const { expected, provided } = error
      return answer(400, 'Offsets do not match', { expected_offset: expected, provided_offset: provided, offset: expected })
    }
    if (error instanceof UploadIncomplete) {
      return answer(400, `Upload is incomplete: ${error.received} of ${error.size} bytes received`, { offset: error.received })
    }
    if (error instanceof ChecksumMismatch) return answer(400, dialect.checksumWrong(algorithm === false ? '' : algorithm))
    if (error instanceof JsonInvalid) return answer(400, `JSON parse error - ${reason(error)}`)
    if (error instanceof FormInvalid) return answer(400, `Form parse error - ${reason(error)}`)
    const { code = '', statusCode = 500 } = error
    if (!code.startsWith('FST_CHUNKED_UPLOAD_')) return undefined
    const words = answer(statusCode, error.message)
    return statusCode === 503 || error instanceof UploadBusy ? { ...words, headers: { 'retry-after': '1' } } : words
  }
  return word
}

/** What the parser said. */
function reason (error: Error): string {
  return error.message.replace(/^(?:Form|JSON) is invalid: /, '')
}

function contentType (request: FastifyRequest): string {
  return request.headers['content-type'] ?? ''
}
