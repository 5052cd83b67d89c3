import type { FastifyRequest } from 'fastify'
import { serializeDictionary } from 'structured-headers'
import type { BodyDigest, UploadDraft } from '../../engine/index.js'
import { ChecksumMismatch } from '../../errors.js'
import type { CompleteUpload, Upload } from '../../upload.js'
import type { Context } from '../context.js'
import { bytesFields, integerFields } from './fields.js'

/** The active algorithms of RFC 9530, by our names for them; digests of others are ignored. */
const ALGORITHMS = { 'sha-256': 'sha256', 'sha-512': 'sha512' } as const
const KEYS = ['sha-256', 'sha-512'] as const

/** Content-Digest: what the body must be checked with. */
export function contentDigests (request: FastifyRequest): readonly BodyDigest[] | undefined {
  const given = bytesFields(request, 'Content-Digest')
  const digests = KEYS.flatMap((key): BodyDigest[] => {
    const value = given.get(key)
    return value === undefined ? [] : [{ algorithm: ALGORITHMS[key], expected: () => value }]
  })
  return digests.length === 0 ? undefined : digests
}

interface RepresentationDigest {
  readonly algorithm: typeof ALGORITHMS[keyof typeof ALGORITHMS]
  /** Lower-case hex. */
  readonly value: string
}

/** Repr-Digest: what the whole file must come to. */
function representationDigests (request: FastifyRequest): readonly RepresentationDigest[] {
  const given = bytesFields(request, 'Repr-Digest')
  return KEYS.flatMap((key): RepresentationDigest[] => {
    const value = given.get(key)
    return value === undefined ? [] : [{ algorithm: ALGORITHMS[key], value: Buffer.from(value).toString('hex') }]
  })
}

/** The checksum that a new upload keeps: as the client announces it, as it wants to hear it, or as the host's option says. */
export function draftChecksum (request: FastifyRequest, fallback: string | false): UploadDraft['checksum'] {
  const [announced] = representationDigests(request)
  if (announced !== undefined) return announced
  const algorithm = wantedAlgorithm(request) ?? fallback
  return algorithm === false ? null : { algorithm, value: null }
}

/** Want-Repr-Digest: the algorithm of those we know that the client likes best; 0 stands for "not this one". */
function wantedAlgorithm (request: FastifyRequest): RepresentationDigest['algorithm'] | undefined {
  const wanted = integerFields(request, 'Want-Repr-Digest')
  const [best] = KEYS.filter(key => (wanted.get(key) ?? 0) > 0).sort((a, b) => (wanted.get(b) ?? 0) - (wanted.get(a) ?? 0))
  return best === undefined ? undefined : ALGORITHMS[best]
}

/**
 * Holds the whole file against the digests that come with its last request. One of the algorithm that the upload keeps costs nothing; for
 * another the file is read back.
 * @throws {ChecksumMismatch}
 */
export async function checkRepresentation (context: Context, upload: CompleteUpload): Promise<void> {
  const { mount: { engine }, request } = context
  for (const { algorithm, value } of representationDigests(request)) {
    const kept = upload.checksum?.algorithm === algorithm ? upload.checksum.value : null
    if ((kept ?? await engine.checksumOf(await context.caller(), upload, algorithm)) !== value) throw new ChecksumMismatch(algorithm)
  }
}

/** Repr-Digest of a finished file, where its checksum is one that the field knows and the client wants one. */
export function representationDigestField (request: FastifyRequest, { checksum }: Upload): Readonly<Record<string, string>> {
  const key = KEYS.find(key => ALGORITHMS[key] === checksum?.algorithm)
  if (key === undefined || typeof checksum?.value !== 'string' || wantedAlgorithm(request) === undefined) return {}
  return { 'Repr-Digest': serializeDictionary({ [key]: Buffer.from(checksum.value, 'hex') }) }
}
