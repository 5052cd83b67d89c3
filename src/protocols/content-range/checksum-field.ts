import type { FastifyRequest } from 'fastify'
import { formKind, readForm } from '../../http/body/form.js'
import { hasBody } from '../../http/body/stream-scope.js'
import type { ProtocolSettings } from '../contract.js'
import { refuse, unsupportedMediaType } from './errors.js'
import type { ContentRangeSettings } from './options.js'

/** The fields of a completion. @throws {Refusal} the body is of a type that has none */
export async function formOf (request: FastifyRequest): Promise<Readonly<Record<string, unknown>>> {
  if (hasBody(request) && formKind(request) === undefined) throw unsupportedMediaType(request.headers['content-type'])
  return await readForm(request)
}

/**
 * The checksum that a completion gives; undefined where none is kept.
 * @throws {Refusal} none is given
 */
export function checksumOf (
  field: (name: string) => unknown, { checksum, dialect }: Pick<ContentRangeSettings, 'dialect'> & Pick<ProtocolSettings, 'checksum'>
): string | undefined {
  if (checksum === false) return undefined
  const given = textOf(field(checksum))
  if (given === '' && dialect.demandsChecksumFirst) throw refuse(`Checksum of type '${checksum}' is required`)
  return given
}

/** A field as text: of one that is given twice the last counts, and what is no text stays something that equals no checksum. */
export function textOf (field: unknown): string {
  const value: unknown = Array.isArray(field) ? field.at(-1) : field
  if (value === undefined || value === null) return ''
  // Written out, it could be deeper than any stack.
  return typeof value === 'object' ? '{}' : String(value)
}
