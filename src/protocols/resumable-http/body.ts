import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { BodyDigest } from '../../engine/index.js'
import { assertAsSent, contentLength } from '../../http/body/stream-scope.js'
import { announcesBody } from '../../http/body/unread-body.js'
import { Refusal } from '../refusal.js'
import { contentDigests } from './digests.js'
import { inconsistentLength } from './errors.js'
import { completenessOf } from './completeness.js'
import { type IntegerField, integerField } from './fields.js'
import { type InteropVersion, versionOf } from './versions.js'

/** What a creation or an append says of its bytes. */
export interface UploadBody {
  readonly version: InteropVersion
  readonly bytes: Readable
  /** False when the request has no body at all. */
  readonly present: boolean
  /** Bytes of the body, where the request tells them. */
  readonly length: number | undefined
  /** Upload-Length: bytes of the whole file. */
  readonly size: number | undefined
  /** Whether the file ends with this body; undefined when the request does not say. */
  readonly last: boolean | undefined
  readonly digests: readonly BodyDigest[] | undefined
}

/** @throws {Refusal} 400, a number that cannot be {@link BodyDecoded} */
export function uploadBodyOf (request: FastifyRequest): UploadBody {
  assertAsSent(request)
  const version = versionOf(request)
  const present = announcesBody(request.raw)
  const size = bytesIn('Upload-Length', integerField(request, 'Upload-Length'))
  return {
    version,
    bytes: request.body instanceof Readable ? request.body : request.raw,
    present,
    length: present ? contentLength(request) : 0,
    size,
    last: completenessOf(request, version),
    digests: contentDigests(request)
  }
}

/** Upload-Offset in bytes; undefined without it. @throws {Refusal} 400 */
export function offsetIn (request: FastifyRequest): number | undefined {
  return bytesIn('Upload-Offset', integerField(request, 'Upload-Offset'))
}

/**
 * The size of the file, as a body from `offset` tells it: by Upload-Length, or by its own end when it is the last one.
 * @throws {Refusal} 400, the two disagree
 */
export function sizeBy ({ size, length, last }: UploadBody, offset: number): number | undefined {
  const end = last === true && length !== undefined ? offset + length : undefined
  if (size !== undefined && end !== undefined && size !== end) {
    throw inconsistentLength(`Upload-Length is ${size}, but the last bytes end at ${end}`)
  }
  return size ?? end
}

function bytesIn (name: string, value: IntegerField): number | undefined {
  if (value === 'too-large' || (value !== undefined && value < 0)) throw new Refusal(400, `${name} is no size that a file can have`)
  return value
}
