import type { FastifyRequest, RouteHandlerMethod } from 'fastify'
import { ForeignClient } from '../../errors.js'
import { isPart } from '../../http/routing/foreign-client.js'
import { formKind, readForm } from '../../http/body/form.js'
import { hasBody } from '../../http/body/stream-scope.js'
import { withChunk } from './chunk.js'
import { storeFirst } from './first-chunk.js'
import { type Mount, assertMayKnow, callerOf, sendCompleted, sendRecord } from './mount.js'
import type { ContentRangeSettings } from './options.js'
import { idOf } from './record.js'
import { Refused, unsupportedMediaType } from './wording.js'

/** POST on an upload: all bytes are there, and this is their checksum. */
export function complete (mount: Mount): RouteHandlerMethod {
  const { uploads: { engine }, settings } = mount
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const fields = await formOf(request)
    const checksum = checksumOf(fields[settings.checksum === false ? '' : settings.checksum], settings)
    assertMayKnow(settings, caller)
    const completed = await engine.complete(caller, idOf(request), { ...checksum !== undefined && { checksum } })
    return sendCompleted(reply, completed, () => sendRecord(reply, completed.upload, settings))
  }
}

/** POST on the collection: a whole file and its checksum in one form. Of a whole file, Content-Range means nothing here. */
export function single (mount: Mount): RouteHandlerMethod {
  const { uploads: { engine }, settings } = mount
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    // With a checksum of the whole file it would be refused for that.
    if (settings.checksum === false && isPart(request.headers['content-range'] ?? '')) {
      const instead = "send chunks by PUT, or serve contentRange({ dialect: 'parent' })"
      throw new ForeignClient('clients that send chunks by POST', 'Content-Range', instead)
    }
    return await withChunk(request, { ...settings, raw: false }, async chunk => {
      const completed = await storeFirst(mount, caller, chunk, undefined, request.log, async ({ id }) => {
        const checksum = checksumOf(chunk.fields.get(settings.checksum === false ? '' : settings.checksum), settings)
        return await engine.complete(caller, id, { sameRequest: true, ...checksum !== undefined && { checksum } })
      })
      return sendCompleted(reply, completed, () => sendRecord(reply, completed.upload, settings))
    })
  }
}

/** The fields of a completion. @throws {Refused} the body is of a type that has none */
export async function formOf (request: FastifyRequest): Promise<Readonly<Record<string, unknown>>> {
  if (hasBody(request) && formKind(request) === undefined) throw unsupportedMediaType(request.headers['content-type'] ?? '')
  return await readForm(request)
}

/**
 * The checksum that a completion gives; undefined where none is kept.
 * @throws {Refused} none is given
 */
function checksumOf (field: unknown, { checksum, dialect }: ContentRangeSettings): string | undefined {
  if (checksum === false) return undefined
  const given = textOf(field)
  if (given === '' && dialect.demandsChecksumFirst) throw new Refused(`Checksum of type '${checksum}' is required`)
  return given
}

/** A field as text: of one that is given twice the last counts, and what is no text stays something that equals no checksum. */
export function textOf (field: unknown): string {
  const value: unknown = Array.isArray(field) ? field.at(-1) : field
  if (value === undefined || value === null) return ''
  // Written out, it could be deeper than any stack.
  return typeof value === 'object' ? '{}' : String(value)
}
