// A host whose TypeScript resolves as bundlers do, and looks at the declarations of what was built.
import fastify from 'fastify'
import chunkedUpload, { contentRange, errors, type HookContext, type Upload } from 'fastify-chunked-upload'
import { StorageLost } from 'fastify-chunked-upload/adapter'
import { encryptedStorage } from 'fastify-chunked-upload/encrypted'
import { ffmpeg } from 'fastify-chunked-upload/ffmpeg'
import { newUpload } from 'fastify-chunked-upload/testing'
import type { ByteRange, Uploads } from 'fastify-chunked-upload/types'

interface Row { readonly id: number, readonly at: Date }

/** An interface is no JSON for TypeScript, nor is a date, and both may be answered. */
export async function start (save: (upload: Upload, context: HookContext) => Promise<Row>): Promise<Upload | undefined> {
  const app = fastify()
  await app.register(chunkedUpload, {
    prefix: '/uploads',
    protocols: [contentRange()],
    onComplete: async (upload, context) => ({ statusCode: 201, body: await save(upload, context) })
  })
  try {
    return await app.chunkedUpload.get(newUpload().id)
  } catch (error) {
    if (error instanceof errors.UploadNotFound) return undefined
    throw error
  }
}

/** What the other entries have. */
export const others = { StorageLost, encryptedStorage, ffmpeg, range: [0, 1] satisfies ByteRange }
export type Engine = Uploads['engine']
