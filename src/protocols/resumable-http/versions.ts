import type { FastifyRequest } from 'fastify'
import { integerField } from './fields.js'

/** Problem types that the drafts register (RFC 9457). */
export type ProblemType = 'mismatching-upload-offset' | 'inconsistent-upload-length' | 'completed-upload'

/** What differs between the interop versions of draft-ietf-httpbis-resumable-upload; everything else is the same for all. */
export interface InteropVersion {
  /** The field that says whether more follows, and what it says then: `?1` of Upload-Incomplete is `?0` of Upload-Complete. */
  readonly completeness: 'Upload-Complete' | 'Upload-Incomplete'
  /** An append without that field: the last one, one that more follow, or a bad request. */
  readonly unsaid: 'last' | 'more' | 'refuse'
  /** An append is of the media type application/partial-upload. */
  readonly typedAppend: boolean
  readonly unfinishedAppend: 201 | 204
  readonly finishedAppend: 200 | 201
  /** Fields of an append make a DELETE a bad request, as they make a HEAD one in every version. */
  readonly strictCancellation: boolean
  /** Member of Upload-Limit that tells the seconds an upload has left. */
  readonly lifetime: 'expires' | 'max-age'
  /** Interim replies tell how far the upload is. */
  readonly progress: boolean
  /** What becomes of an upload that gets more bytes than its length: it keeps what fits, or takes nothing any more. */
  readonly overflow: 'keep' | 'invalidate'
  /** An upload that was removed is unknown (404), or known to be gone (410). */
  readonly gone: 404 | 410
  readonly problems: ReadonlySet<ProblemType>
}

const draft01: InteropVersion = {
  completeness: 'Upload-Incomplete',
  unsaid: 'last',
  typedAppend: false,
  unfinishedAppend: 201,
  finishedAppend: 201,
  strictCancellation: true,
  lifetime: 'max-age',
  progress: false,
  overflow: 'invalidate',
  gone: 404,
  problems: new Set()
}
const draft02: InteropVersion = { ...draft01, completeness: 'Upload-Complete', unsaid: 'more' }
const draft03: InteropVersion = { ...draft02, progress: true }
const draft04: InteropVersion = {
  ...draft03, typedAppend: true, lifetime: 'expires', overflow: 'keep', problems: new Set(['mismatching-upload-offset', 'completed-upload'])
}
const draft06: InteropVersion = {
  ...draft04,
  unfinishedAppend: 204,
  finishedAppend: 200,
  unsaid: 'refuse',
  strictCancellation: false,
  lifetime: 'max-age',
  overflow: 'invalidate',
  gone: 410,
  problems: new Set(['mismatching-upload-offset', 'inconsistent-upload-length', 'completed-upload'])
}
const draft12: InteropVersion = { ...draft06, problems: new Set(['mismatching-upload-offset', 'inconsistent-upload-length']) }

/** By the number that Upload-Draft-Interop-Version sends: drafts 01; 02; 03; 04 and 05; 06 to 08; 09 to 11; 12. */
const VERSIONS: ReadonlyMap<number, InteropVersion> = new Map([
  [3, draft01], [4, draft02], [5, draft03], [6, draft04], [7, draft06], [8, draft06], [9, draft12]
])

/** How requests without a version, or with one that is not known, are served. */
const NEWEST = draft12

const FIELD = 'Upload-Draft-Interop-Version'

/** The number that the request sends, if it is one that is known. */
export function interopNumber (request: FastifyRequest): number | undefined {
  const number = integerField(request, FIELD)
  return typeof number === 'number' && VERSIONS.has(number) ? number : undefined
}

export function versionOf (request: FastifyRequest): InteropVersion {
  return VERSIONS.get(interopNumber(request) ?? 0) ?? NEWEST
}

/** The known version, to be told again in the reply. */
export function versionEcho (request: FastifyRequest): Readonly<Record<string, string>> {
  const number = interopNumber(request)
  return number === undefined ? {} : { [FIELD]: String(number) }
}
