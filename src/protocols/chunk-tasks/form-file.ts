import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { FastifyRequest } from 'fastify'
import { formKind } from '../../http/form.js'
import { type FilePart, readParts } from '../../http/multipart.js'
import { bodyOf } from '../../http/stream-scope.js'

/** The file part of a form, on its way. */
export interface FormFile {
  readonly body: Readable
  readonly filename: string
  readonly contentType: string
  /** The text fields read so far: those behind the file are there only after {@link finish}. */
  readonly fields: Readonly<Record<string, string>>
  /** Reads what is left of the file, and tells how many bytes it has. */
  count (): Promise<number>
  /** Reads the rest of the form. @throws {FormInvalid} {@link BodyCut} */
  finish (): Promise<void>
}

/**
 * Gives `work` the first file of this name in a multipart form.
 * @param missing the error of a request without it
 */
export async function withFile<T> (
  request: FastifyRequest, name: string, missing: () => Error, work: (file: FormFile) => Promise<T>
): Promise<T> {
  if (formKind(request) !== 'multipart') throw missing()
  const parts = readParts(bodyOf(request), request.headers['content-type'] ?? '')
  const fields: Record<string, string> = Object.create(null)
  const nextFile = async (): Promise<FilePart | undefined> => {
    for (let next = await parts.next(); next.done !== true; next = await parts.next()) {
      const part = next.value
      if (part.kind === 'field') fields[part.name] = part.value
      else if (part.name === name) return part
      else part.body.resume()
    }
    return undefined
  }
  try {
    const file = await nextFile()
    if (file === undefined) throw missing()
    const { body, filename, contentType } = file
    return await work({
      body,
      filename,
      contentType,
      fields,
      count: counting(body),
      finish: async () => {
        for (let more = await nextFile(); more !== undefined; more = await nextFile()) more.body.resume()
      }
    })
  } finally {
    await parts.return()
  }
}

/** Counts a body's bytes beside its reader. */
function counting (body: Readable): () => Promise<number> {
  let bytes = 0
  // Listening alone would let it flow before the reader is there.
  body.pause()
  body.on('data', (data: Uint8Array) => { bytes += data.length })
  return async () => {
    if (!body.readableEnded) {
      body.resume()
      await finished(body, { writable: false })
    }
    return bytes
  }
}
