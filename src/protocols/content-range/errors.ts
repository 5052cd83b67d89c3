import type { FastifyRequest } from 'fastify'
import {
  ChecksumMismatch, FormInvalid, JsonInvalid, LengthMismatch, OffsetMismatch, SizeConflict, SizeLimitExceeded, UploadBusy,
  UploadComplete, UploadExpired, UploadIncomplete, UploadNotFound
} from '../../errors.js'
import type { JsonObject } from '../../upload.js'
import { type ErrorTable, when } from '../error-answer.js'
import { Refusal } from '../refusal.js'
import type { Dialect } from './dialect.js'

/** @param detail a sentence, or what is wrong with which field */
export function refuse (detail: string | JsonObject, statusCode = 400): Refusal {
  return typeof detail === 'string'
    ? new Refusal(statusCode, detail)
    : new Refusal(statusCode, 'Invalid field', { facts: { detail } })
}

export const noChunk = (): Refusal => refuse('No chunk file was submitted')
export const unsupportedMediaType = (type = ''): Refusal => refuse(unsupported(type), 415)
export const emptyFile = (): Refusal => refuse({ file: ['The submitted file is empty.'] })

/** The contract's answers. */
export function errorsOf (dialect: Dialect, algorithm: string | false): ErrorTable {
  return {
    rows: [
      when(UploadNotFound, { statusCode: 404, message: 'Not found.' }),
      when(UploadExpired, { statusCode: 410, message: 'Upload has expired' }),
      when(UploadComplete, { statusCode: 400, message: dialect.alreadyComplete }),
      when(SizeLimitExceeded, ({ limit }) => ({ statusCode: 400, message: `Size of file exceeds the limit (${limit} bytes)` })),
      when(SizeConflict, ({ size }) => ({ statusCode: 400, message: `Total size does not match the first chunk (${size} bytes)` })),
      when(LengthMismatch, ({ actual, expected }) => ({
        statusCode: 400, message: `File size doesn't match headers: file size is ${actual} but ${expected} reported`
      })),
      when(OffsetMismatch, ({ expected, provided }) => ({
        statusCode: 400,
        message: 'Offsets do not match',
        facts: { expected_offset: expected, provided_offset: provided, offset: expected }
      })),
      when(UploadIncomplete, ({ received, size }) => ({
        statusCode: 400, message: `Upload is incomplete: ${received} of ${size} bytes received`, facts: { offset: received }
      })),
      when(ChecksumMismatch, { statusCode: 400, message: dialect.checksumWrong(algorithm === false ? '' : algorithm) }),
      when(JsonInvalid, error => ({ statusCode: 400, message: `JSON parse error - ${reasonOf(error)}` })),
      when(FormInvalid, error => ({ statusCode: 400, message: `Form parse error - ${reasonOf(error)}` })),
      when(UploadBusy, { headers: { 'retry-after': '1' } })
    ],
    body: ({ code, message, facts }, { headers }: FastifyRequest) => {
      const detail = code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE' ? unsupported(headers['content-type']) : message
      return { body: { detail, ...facts } }
    }
  }
}

function unsupported (type = ''): string {
  return `Unsupported media type "${type}" in request.`
}

/** What the parser said. */
function reasonOf (error: Error): string {
  return error.message.replace(/^(?:Form|JSON) is invalid: /, '')
}
