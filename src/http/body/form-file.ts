import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { BodyCut, FormInvalid } from '../../errors.js'
import { assertNoFile, formKind, isMisread, partsOf } from './form.js'
import type { FilePart } from './multipart.js'
import { hasBody } from './stream-scope.js'

/** The file part of a form, on its way. */
export interface FormFile {
  readonly body: Readable
  /** As the client wrote it, with its folders; empty without one. */
  readonly filename: string
  readonly contentType: string
  /** The text fields read so far: those after the file are there only after {@link finish}. */
  readonly fields: ReadonlyMap<string, string>
  /** Reads the rest of the form. @throws {SecondFile} {@link FormInvalid} {@link BodyCut} */
  finish (): Promise<void>
}

export interface FileWanted {
  /** Names of its field; any will do where this is left out. */
  readonly names?: readonly string[] | undefined
  /** The error of a request without it. */
  readonly missing: () => Error
}

/**
 * Gives `work` the first file of a multipart form.
 * @throws what `missing` makes {@link FormInvalid} {@link SecondFile} {@link ForeignClient} the form is wrong, be it within the file
 * {@link BodyEncoded} {@link BodyCut}, and what `work` throws
 */
export async function withFormFile<T> (
  request: FastifyRequest, { names, missing }: FileWanted, work: (file: FormFile) => Promise<T>
): Promise<T> {
  if (formKind(request) !== 'multipart' || !hasBody(request)) throw missing()
  const parts = partsOf(request)
  const fields = new Map<string, string>()
  const nextFile = async (): Promise<FilePart | undefined> => {
    for (let next = await parts.next(); next.done !== true; next = await parts.next()) {
      const part = next.value
      if (part.kind === 'field') fields.set(part.name, part.value)
      else if (names === undefined || names.includes(part.name)) return part
    }
    return undefined
  }
  const finish = async (): Promise<void> => {
    for (let more = await nextFile(); more !== undefined; more = await nextFile()) await assertNoFile(more)
  }
  try {
    const file = await nextFile()
    if (file === undefined) throw missing()
    const { body, filename, contentType } = file
    return await work({ body, filename, contentType, fields, finish })
  } catch (error) {
    throw isFormError(error) ? error.cause : error
  } finally {
    // Not awaited: where a part is still waited for, it would wait for it too.
    parts.return().catch(() => {})
  }
}

/** The body came whole, and it is the form that breaks off within the file, or is none that the request may have. */
function isFormError (error: unknown): error is Error & { readonly cause: Error } {
  return error instanceof BodyCut && (error.cause instanceof FormInvalid || isMisread(error.cause))
}
