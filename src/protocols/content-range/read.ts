import type { RouteHandlerMethod } from 'fastify'
import { UploadGone, UploadNotFound } from '../../errors.js'
import { type DownloadOptions, keptCoding, sendUpload } from '../../http/download/send-upload.js'
import { sendList } from '../../http/fields/list.js'
import type { Upload } from '../../upload.js'
import { type Mount, assertMayKnow, callerOf, lacksUser, sendRecord } from './mount.js'
import { idOf, wireRecord } from './record.js'

/** GET on the collection: own uploads, whatever their state. Sent as it is read, so that its length does not matter. */
export function list (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    reply.header('cache-control', 'no-store').type('application/json; charset=utf-8')
    if (lacksUser(mount.settings, caller)) return reply.send('[]')
    const listed = (upload: Upload): object | undefined => isShown(upload) ? wireRecord(upload, request, mount.settings) : undefined
    return await sendList(reply, mount.uploads.engine.list(caller), listed)
  }
}

/** GET on an upload: its record, also when it is expired or complete. */
export function detail (mount: Mount): RouteHandlerMethod {
  const { uploads: { engine }, settings } = mount
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    assertMayKnow(settings, caller)
    const upload = await engine.get(caller, idOf(request))
    if (!isShown(upload)) throw new UploadGone()
    return sendRecord(reply.header('cache-control', 'no-store'), upload, settings)
  }
}

/** GET on a finished upload's file. Of an unfinished one there is none yet. */
export function download (mount: Mount, options: DownloadOptions): RouteHandlerMethod {
  const { uploads: { engine }, settings } = mount
  return async (request, reply) => {
    const caller = await callerOf(mount, request, reply)
    assertMayKnow(settings, caller)
    const upload = await engine.get(caller, idOf(request))
    if (upload.status === 'uploading') throw new UploadNotFound()
    return await sendUpload(request, reply, engine, upload, { ...options, ...keptCoding(upload) })
  }
}

/** Of removed uploads only expired ones, whose records the host keeps, are still told of. */
function isShown (upload: Upload): boolean {
  return upload.status !== 'removed' || upload.reason === 'expired'
}
