import type { FastifyReply, FastifyRequest } from 'fastify'
import type { BodyDigest, BodyDigestAlgorithm, BodyHash } from '../../engine/index.js'
import { ChecksumMismatch, ChecksumUnsupported } from '../../errors.js'
import { headerOf } from './headers.js'
import type { TusSettings } from './options.js'
import { badHeader } from './errors.js'

/** A body that is not what its checksum says was dropped: 460 tells the offset, which has not moved. */
export function tellOffset (reply: FastifyReply, offset: number, digests: readonly BodyDigest[] | undefined): (error: unknown) => never {
  return error => {
    if (error instanceof ChecksumMismatch && digests !== undefined) reply.header('upload-offset', String(offset))
    throw error
  }
}

interface Given {
  readonly name: string
  readonly algorithm: BodyDigestAlgorithm | BodyHash
  readonly value: Buffer
}

/**
 * What the body must be checked with: Upload-Checksum of the header, or the one that comes after the body as a trailer. Of a trailer the
 * algorithm is known only then, so all of them are computed.
 * @throws {Refusal} 400
 */
export function digestsOf (request: FastifyRequest, settings: TusSettings): readonly BodyDigest[] | undefined {
  const header = headerOf(request, 'Upload-Checksum')
  if (!settings.extensions.has('checksum')) {
    if (header !== undefined) throw badHeader('Upload-Checksum', 'is not supported here')
    return undefined
  }
  const announced = settings.extensions.has('checksum-trailer') && announcesTrailer(request)
  const trailer = (): Given | undefined => {
    const value = announced ? request.raw.trailers['upload-checksum'] : undefined
    return value === undefined ? undefined : parseChecksum(value, settings)
  }
  if (header !== undefined) {
    const given = parseChecksum(header, settings)
    return [{
      algorithm: given.algorithm,
      expected: () => {
        const late = trailer()
        if (late !== undefined && (late.name !== given.name || !late.value.equals(given.value))) {
          throw badHeader('Upload-Checksum', 'differs between header and trailer')
        }
        return given.value
      }
    }]
  }
  if (!announced) return undefined
  return [...settings.checksumAlgorithms].map(([name, algorithm]) => ({
    algorithm,
    expected: () => {
      const given = trailer()
      if (given === undefined) throw badHeader('Upload-Checksum', 'was announced as a trailer and did not come')
      return given.name === name ? given.value : undefined
    }
  }))
}

/** True when the request's Trailer header names Upload-Checksum (RFC 9110, section 6.6.2). */
function announcesTrailer (request: FastifyRequest): boolean {
  return (headerOf(request, 'Trailer') ?? '').split(',').some(name => name.trim().toLowerCase() === 'upload-checksum')
}

function parseChecksum (text: string, { checksumAlgorithms }: TusSettings): Given {
  const [, name, base64] = /^([^ ]+) ((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?)$/.exec(text) ?? []
  if (name === undefined || base64 === undefined || base64 === '') {
    throw badHeader('Upload-Checksum', 'must be an algorithm and a base64 value')
  }
  const algorithm = checksumAlgorithms.get(name)
  if (algorithm === undefined) throw new ChecksumUnsupported(name)
  // A value of another length than the algorithm's is well-formed, and matches no body: 460.
  return { name, algorithm, value: Buffer.from(base64, 'base64') }
}
