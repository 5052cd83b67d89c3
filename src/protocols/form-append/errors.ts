import type { FastifyRequest } from 'fastify'
import { formKind } from '../../http/body/form.js'
import {
  FormInvalid, JsonInvalid, OffsetMismatch, SizeLimitExceeded, StorageFull, UploadComplete, UploadGone, UploadNotFound
} from '../../errors.js'
import { type ErrorRow, type ErrorTable, when, whenAny } from '../error-answer.js'
import { Refusal } from '../refusal.js'

export function unsupportedType (contentType = ''): Refusal {
  const detail = `Unsupported media type "${contentType}" in request.`
  return new Refusal(415, detail, { facts: { detail } })
}

/** Errors of `POST upload/`. */
export const chunkErrors: ErrorTable = tableOf([
  whenAny([UploadNotFound, UploadGone, UploadComplete], { statusCode: 404, message: 'Upload not found or already completed.' }),
  when(SizeLimitExceeded, { statusCode: 400, message: 'File size exceeds the limit.' }),
  when(OffsetMismatch, ({ expected }) => ({ statusCode: 400, message: 'Offset does not match.', facts: { offset: expected } }))
])

/** Errors of the other routes. */
export const errors: ErrorTable = tableOf([
  whenAny([UploadNotFound, UploadGone], { statusCode: 404, message: 'Upload not found.' }),
  when(UploadComplete, { statusCode: 400, message: 'Upload already completed.' })
])

/** Refusals are `{ error }`. What Django REST framework refuses itself is `{ detail }`. */
function tableOf (rows: readonly ErrorRow[]): ErrorTable {
  return {
    rows: [...rows, when(StorageFull, { headers: { 'retry-after': '1' } }), whenAny([JsonInvalid, FormInvalid], { statusCode: 400 })],
    body: ({ message, facts }, request, error) => {
      if (error instanceof JsonInvalid || error instanceof FormInvalid) return { body: { detail: parseError(error, request) } }
      return { body: 'detail' in facts ? facts : { error: message, ...facts } }
    }
  }
}

function parseError ({ message }: Error, request: FastifyRequest): string {
  const kind = formKind(request) === 'json' ? 'JSON' : 'Multipart form'
  return `${kind} parse error - ${message.replace(/^(?:Form|JSON) is invalid: /, '')}`
}
