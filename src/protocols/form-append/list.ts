import type { FastifyReply } from 'fastify'
import { sendList } from '../../http/fields/list.js'
import type { Upload } from '../../upload.js'
import type { Context } from '../context.js'
import type { FormMount } from './mount.js'
import { recordOf } from './record.js'

/** `GET videos/`: finished uploads, the newest completion first, with absolute URLs. Sent as they are read. */
export async function list (context: Context<FormMount>): Promise<FastifyReply> {
  const { mount, request, reply } = context
  const caller = await context.caller()
  const anonymous = caller.restricted && caller.user === null
  const lister = anonymous && mount.settings.listAnonymous ? { ...caller, restricted: false } : caller
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
