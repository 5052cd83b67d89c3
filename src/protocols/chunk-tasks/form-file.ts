import type { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import type { FastifyRequest } from 'fastify'
import { assertNoFile, formKind, partsOf } from '../../http/body/form.js'
import type { FilePart } from '../../http/body/multipart.js'

/** The file part of a form, on its way. */
export interface FormFile {
  readonly body: Readable
  readonly filename: string
  readonly contentType: string
  /** The text fields read so far: those after the file are there only after {@link finish}. */
  readonly fields: Readonly<Record<string, string>>
  /** Tells how many bytes the file has, and reads what is left of it to find out, but no more than `limit` of them. */
  count (limit: number): Promise<number>
  /** Reads the rest of the form. @throws {SecondFile} {@link FormInvalid} {@link BodyCut} */
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
  const parts = partsOf(request)
  const fields: Record<string, string> = Object.create(null)
  const nextFile = async (): Promise<FilePart | undefined> => {
    for (let next = await parts.next(); next.done !== true; next = await parts.next()) {
      const part = next.value
      if (part.kind === 'field') fields[part.name] = part.value
      else if (part.name === name) return part
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
        for (let more = await nextFile(); more !== undefined; more = await nextFile()) await assertNoFile(more)
      }
    })
  } finally {
    await parts.return()
  }
}

/** Counts a body's bytes beside its reader. */
function counting (body: Readable): FormFile['count'] {
  let bytes = 0
  // Listening alone would let it flow before the reader is there.
  body.pause()
  body.on('data', (data: Uint8Array) => { bytes += data.length })
  return async limit => {
    if (bytes > limit || body.readableEnded) return bytes
    const enough = new Promise<void>(resolve => { body.on('data', () => { if (bytes > limit) resolve() }) })
    const ended = finished(body, { writable: false })
    ended.catch(() => {})
    body.resume()
    await Promise.race([enough, ended])
    return bytes
  }
}
