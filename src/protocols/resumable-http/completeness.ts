import type { FastifyRequest } from 'fastify'
import { booleanField } from './fields.js'
import type { InteropVersion } from './versions.js'

/** Whether the representation ends with this request; undefined when the request does not say. */
export function completenessOf (request: FastifyRequest, { completeness }: InteropVersion): boolean | undefined {
  const value = booleanField(request, completeness)
  return value === undefined || completeness === 'Upload-Complete' ? value : !value
}

/** The same in the words of the version, for a reply. */
export function completenessField (complete: boolean, { completeness }: InteropVersion): Readonly<Record<string, string>> {
  return { [completeness]: complete === (completeness === 'Upload-Complete') ? '?1' : '?0' }
}
