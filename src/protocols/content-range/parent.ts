import type { RouteHandlerMethod } from 'fastify'
import { withChunk } from './chunk.js'
import { formOf, textOf } from './complete.js'
import { storeFirst } from './first-chunk.js'
import { type Mount, callerOf, sendCompleted, sendJson, sendRecord } from './mount.js'
import { rangeOf, storeNext } from './put.js'
import { wireId } from './record.js'
import { Refused } from './wording.js'

/** POST upload/ of django-chunked-upload: the form field `upload_id` tells a next chunk from a first one. */
export function postChunk (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    return await withChunk(request, { ...mount.settings, raw: true }, async chunk => {
      const id = chunk.fields.get('upload_id') ?? ''
      const range = await rangeOf(mount, request, caller, chunk, id !== '')
      const upload = id === ''
        ? await storeFirst(mount, caller, chunk, range, request.log, async stored => stored)
        : await storeNext(mount, caller, wireId(id), chunk, range)
      return sendRecord(reply, upload, mount.settings)
    })
  }
}

/** POST complete/ of django-chunked-upload: `upload_id` and the checksum in a form; the answer is empty unless the host words it. */
export function postComplete (mount: Mount): RouteHandlerMethod {
  const { uploads: { engine }, settings: { checksum: algorithm } } = mount
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    const fields = await formOf(request)
    const id = textOf(fields['upload_id'])
    const checksum = algorithm === false ? undefined : textOf(fields[algorithm])
    if (id === '' || checksum === '') {
      throw new Refused(algorithm === false ? "'upload_id' is required" : `Both 'upload_id' and '${algorithm}' are required`)
    }
    const completed = await engine.complete(caller, wireId(id), { ...checksum !== undefined && { checksum } })
    return sendCompleted(reply, completed, () => sendJson(reply, {}))
  }
}
