import type { FastifyRequest } from 'fastify'
import { mediaType } from '../../http/body/form.js'
import { badHeader, wrongContentType, wrongVersion } from './errors.js'

export const TUS_VERSION = '1.0.0'

/** The value of a header; repeated ones come as a list with commas, which no number of tus may have. */
export function headerOf (request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name.toLowerCase()]
  return Array.isArray(value) ? value.join(', ') : value
}

/** @throws {Refusal} 412, also without the header */
export function checkVersion (request: FastifyRequest): void {
  if (headerOf(request, 'Tus-Resumable') !== TUS_VERSION) throw wrongVersion()
}

/** A header in bytes, undefined without it. @throws {Refusal} 400 */
export function bytesOf (request: FastifyRequest, name: string): number | undefined {
  const value = headerOf(request, name)
  if (value === undefined) return undefined
  const bytes = /^\d+$/.test(value) ? Number(value) : NaN
  if (!Number.isSafeInteger(bytes)) throw badHeader(name, 'must be a number of bytes, in digits')
  return bytes
}

/** True when the client will tell the length later. @throws {Refusal} 400 */
export function isDeferred (request: FastifyRequest): boolean {
  const value = headerOf(request, 'Upload-Defer-Length')
  if (value !== undefined && value !== '1') throw badHeader('Upload-Defer-Length', 'must be 1')
  return value !== undefined
}

export function hasUploadType (request: FastifyRequest): boolean {
  return mediaType(request) === 'application/offset+octet-stream'
}

/** @throws {Refusal} 415 */
export function checkUploadType (request: FastifyRequest): void {
  if (!hasUploadType(request)) throw wrongContentType()
}
