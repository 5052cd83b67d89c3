import type { RouteHandlerMethod } from 'fastify'
import { UploadNotFound } from '../../errors.js'
import { type DownloadOptions, sendUpload } from '../../http/download/send-upload.js'
import { sendList } from '../../http/fields/list.js'
import { readUploadId } from '../../http/fields/upload-id.js'
import type { Upload } from '../../upload.js'
import type { Mount } from './mount.js'
import { recordOf } from './record.js'

/** `GET videos/`: finished uploads, the newest completion first, with absolute URLs. Sent as they are read. */
export function listVideos (mount: Mount): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await mount.caller(request, reply)
    const anonymous = caller.restricted && caller.user === null
    const lister = anonymous && mount.listAnonymous ? { ...caller, restricted: false } : caller
    const order = { by: 'activity', descending: true } as const
    const finished = mount.engine.list(lister, { status: 'complete', order, ...anonymous && { user: null } })
    const { origin } = mount.address(request)
    const listed = (upload: Upload): Record<string, unknown> => {
      const record = recordOf(mount, upload, request)
      const { file } = record
      return { ...record, file: origin !== undefined && URL.canParse(file, origin) ? new URL(file, origin).href : file }
    }
    return await sendList(reply.header('cache-control', 'no-store'), finished, listed)
  }
}

/** `GET videos/<upload_id>/`. */
export function download (mount: Mount, options: DownloadOptions): RouteHandlerMethod {
  return async (request, reply) => {
    const caller = await mount.caller(request, reply)
    const { uploadId } = Object(request.params)
    const upload = await mount.engine.get(caller, readUploadId(uploadId))
    if (upload.status === 'uploading') throw new UploadNotFound()
    return await sendUpload(request, reply, mount.engine, upload, options)
  }
}
