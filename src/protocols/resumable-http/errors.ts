import {
  BeyondSize, BodyStalled, OffsetMismatch, SizeConflict, TakenOver, UploadBusy, UploadComplete, UploadExpired, UploadGone, UploadIncomplete
} from '../../errors.js'
import { type ErrorTable, when, whenAny, wordErrors } from '../error-answer.js'
import { Refusal } from '../refusal.js'
import { type ProblemType, versionOf } from './versions.js'

export const PARTIAL_UPLOAD = 'application/partial-upload'

const TYPES = 'https://iana.org/assignments/http-problem-types#'
const TITLES: ReadonlyMap<string, readonly [type: ProblemType, title: string]> = new Map([
  ['mismatching-upload-offset', ['mismatching-upload-offset', 'The offset of the request is not the one of the upload']],
  ['inconsistent-upload-length', ['inconsistent-upload-length', 'The lengths that the requests tell do not agree']],
  ['completed-upload', ['completed-upload', 'The upload is complete']]
])

export const inconsistentLength = (message: string): Refusal => new Refusal(400, message, { code: 'inconsistent-upload-length' })
export const wrongMediaType = (): Refusal => {
  return new Refusal(415, `An append must be of type ${PARTIAL_UPLOAD}`, { headers: { 'accept-patch': PARTIAL_UPLOAD } })
}

/** The one place where errors get their words: problem details (RFC 9457). The code is the problem's type, where its draft has that. */
export const errors: ErrorTable = {
  rows: [
    when(OffsetMismatch, ({ expected, provided }) => ({
      code: 'mismatching-upload-offset',
      headers: { 'upload-offset': String(expected) },
      facts: { 'expected-offset': expected, 'provided-offset': provided }
    })),
    when(UploadComplete, (_error, request) => ({
      statusCode: 400,
      code: versionOf(request).problems.has('completed-upload') ? 'completed-upload' : 'inconsistent-upload-length'
    })),
    whenAny([SizeConflict, BeyondSize, UploadIncomplete], { statusCode: 400, code: 'inconsistent-upload-length' }),
    whenAny([UploadExpired, UploadGone], (_error, request) => ({ statusCode: versionOf(request).gone })),
    // Clients resume after 409, 413, 423, 429 and 5xx, and give up after other 4xx.
    whenAny([UploadBusy, TakenOver], { statusCode: 423 }),
    when(BodyStalled, { statusCode: 503 })
  ],
  body: ({ statusCode: status, code, message, facts }, request) => {
    const [type, title] = TITLES.get(code) ?? []
    const known = type !== undefined && versionOf(request).problems.has(type)
    return {
      contentType: 'application/problem+json',
      // As bytes, since Fastify gives texts a charset, which JSON does not have.
      body: Buffer.from(JSON.stringify({
        ...known ? { type: TYPES + type, title, status, detail: message } : { title: message, status },
        ...facts
      }))
    }
  }
}

export const wordError = wordErrors(errors)
