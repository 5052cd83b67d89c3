import type { RouteHandlerMethod } from 'fastify'
import { UploadNotFound } from '../../errors.js'
import { type DownloadOptions, sendUpload } from '../../http/download.js'
import type { CompleteUpload } from '../../upload.js'
import { idOf, type Mount } from './mount.js'
import { recordOf } from './record.js'

/** `GET videos/`: finished uploads, the newest completion first, with absolute URLs. */
export function listVideos (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await mount.caller(request, reply)
    const anonymous = caller.restricted && caller.user === null
    const finished: CompleteUpload[] = []
    const lister = anonymous && mount.listAnonymous ? { ...caller, restricted: false } : caller
    for await (const upload of mount.engine.list(lister, { status: 'complete', ...anonymous && { user: null } })) {
      if (upload.status === 'complete') finished.push(upload)
    }
    finished.sort((a, b) => b.completedAt - a.completedAt || (b.serial ?? 0) - (a.serial ?? 0))
    const origin = `${request.protocol}://${request.host}`
    return reply.header('cache-control', 'no-store').send(finished.map(upload => {
      const file = mount.fileUrl(upload)
      // A Host that is none, or none at all (HTTP/1.0), makes no address.
      return { ...recordOf(mount, upload), file: URL.canParse(file, origin) ? new URL(file, origin).href : file }
    }))
  }
}

/** `GET videos/<upload_id>/`. */
export function download (mount: Mount, options: DownloadOptions): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await mount.caller(request, reply)
    const { uploadId } = Object(request.params)
    const upload = await mount.engine.get(caller, idOf(uploadId))
    if (upload.status === 'uploading') throw new UploadNotFound()
    return await sendUpload(request, reply, mount.engine, upload, options)
  }
}
