import type { Mount } from '../mount.js'
import { type Declare, service } from '../service.js'
import { chunk } from './chunk.js'
import { complete } from './complete.js'
import { download } from './download.js'
import { chunkErrors, errors } from './errors.js'
import { FormMount } from './mount.js'
import { list } from './list.js'
import type { FormAppendSettings } from './options.js'
import { chunkSchema, completeSchema, downloadSchema, listSchema } from './schemas.js'

/** The routes of a mount; chunks have words of their own for some errors. */
export function serve ({ parts }: Mount<FormAppendSettings>): Declare {
  const mount = new FormMount(parts)
  const { downloads } = mount.settings
  const speaks = 'contentRange'
  const chunks = service({
    mount, speaks, errors: chunkErrors, routes: [{ name: 'chunk', method: 'POST', url: '/upload/', schema: chunkSchema, verb: chunk }]
  })
  const others = service({
    mount,
    speaks,
    errors,
    routes: [
      { name: 'complete', method: 'POST', url: '/upload/complete/', schema: completeSchema, verb: complete },
      { name: 'list', method: ['GET', 'HEAD'], url: '/videos/', schema: listSchema, verb: list },
      downloads !== false &&
        { name: 'download', method: ['GET', 'HEAD'], url: '/videos/:id/', schema: downloadSchema, verb: download }
    ]
  })
  return scope => {
    chunks(scope)
    others(scope)
  }
}
