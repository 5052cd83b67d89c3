import { BodyStalled, ChecksumMismatch, OffsetMismatch, TakenOver, UploadBusy } from '../../errors.js'
import { type ErrorTable, when, whenAny } from '../error-answer.js'
import { Refusal } from '../refusal.js'

/** More final uploads than `most` would wait for one part. */
export class TooManyFinals extends Refusal {
  constructor (most: number) {
    super(429, `Upload-Concat names a part that ${most} unfinished uploads wait for: finish it first`, {
      code: 'CONCAT', headers: { 'retry-after': '5' }
    })
  }
}

/** @param code in front of the message, or beside it */
export const refuse = (statusCode: number, code: string, message: string): Refusal => new Refusal(statusCode, message, { code })
export const badHeader = (name: string, what: string): Refusal => refuse(400, 'HEADER', `${name} ${what}`)
export const wrongVersion = (): Refusal => {
  return new Refusal(412, 'Tus-Resumable must be 1.0.0', { code: 'VERSION', headers: { 'tus-version': '1.0.0' } })
}
export const wrongContentType = (): Refusal => {
  return refuse(415, 'CONTENT_TYPE', 'Content-Type must be application/offset+octet-stream')
}
export const finalTakesNoBytes = (): Refusal => refuse(403, 'FINAL', 'A final upload gets its bytes from its parts alone')

/** The one place where errors get their words: `CODE: message` as text, or both as JSON. */
export function errorsOf (format: 'text' | 'json'): ErrorTable {
  return {
    rows: [
      when(ChecksumMismatch, { statusCode: 460, reason: 'Checksum Mismatch' }),
      when(OffsetMismatch, ({ expected }) => ({ headers: { 'upload-offset': String(expected) } })),
      // Clients try again after 423 and 5xx, and give up after other 4xx.
      whenAny([UploadBusy, TakenOver], { statusCode: 423 }),
      when(BodyStalled, { statusCode: 503 })
    ],
    body: ({ code, message }) => format === 'json'
      ? { body: { code, message }, contentType: 'application/json; charset=utf-8' }
      : { body: `${code}: ${message}\n`, contentType: 'text/plain; charset=utf-8' }
  }
}
