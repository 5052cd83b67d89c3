import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { BodyPace } from '../../body-pace.js'
import { FormInvalid, LengthMismatch } from '../../errors.js'
import { formKind, mediaType, readForm } from '../../http/body/form.js'
import { withFormFile } from '../../http/body/form-file.js'
import { tellingLength } from '../../http/body/telling-length.js'
import { dispositionFilename } from '../../http/fields/content-disposition.js'
import { bodyOf, contentCoding, contentLength, hasBody, paceOf } from '../../http/body/stream-scope.js'
import { chunkLength } from './range-header.js'
import { noChunk, unsupportedMediaType } from './errors.js'

/** The bytes of a request, and what the client says of their file. */
export interface Chunk {
  readonly body: Readable
  readonly contentType: string | null
  /** Content-Encoding that the bytes have; empty without one. */
  readonly contentEncoding: string
  /** As sent with the bytes; empty without one. */
  readonly filename: string
  /** The text fields of the form read so far: those after the file are there only after {@link finish}. */
  readonly fields: ReadonlyMap<string, string>
  /** Bytes, where the request tells them beforehand. */
  readonly length: number | undefined
  /** How slowly it may come. */
  readonly pace: BodyPace
  /** The bytes are a form's: clients send a chunk again as a whole. Of a raw body what has arrived may be kept. */
  readonly atomic: boolean
  /** Reads the rest of the form. @throws {SecondFile} {@link FormInvalid} {@link BodyCut} */
  finish (): Promise<void>
}

interface ChunkRules {
  readonly fieldNames: readonly string[]
  /** A raw body tells its place by Content-Range; without this rule it may also be a whole file. */
  readonly requireContentRange: boolean
  /** Whether raw bodies are served at all. */
  readonly raw: boolean
}

/**
 * Gives `work` the chunk of a request: the file part of a form, or a raw body.
 * @throws {Refusal} the request has no bytes, or of a type that is not served {@link JsonInvalid} {@link FormInvalid} {@link BodyCut}
 */
export async function withChunk<T> (request: FastifyRequest, rules: ChunkRules, work: (chunk: Chunk) => Promise<T>): Promise<T> {
  const kind = formKind(request)
  if (rules.raw && kind !== 'multipart' && isRawChunk(request)) return await work(rawChunk(request))
  if (kind === 'multipart') {
    const raw = { contentEncoding: '', length: undefined, pace: paceOf(request), atomic: true }
    return await withFormFile(request, { names: rules.fieldNames, missing: noChunk }, async file => await work({ ...file, ...raw }))
  }
  if (kind === 'json') {
    // What JSON there is does not matter, but it has to be some.
    await readForm(request).catch((error: unknown) => { if (!(error instanceof FormInvalid)) throw error })
  }
  if (kind !== undefined || !hasBody(request)) throw noChunk()
  const range = request.headers['content-range'] ?? ''
  if (!rules.raw || (range === '' && rules.requireContentRange)) throw unsupportedMediaType(request.headers['content-type'])
  return await work(rawChunk(request))
}

/** True where the headers say that the body is a chunk, whatever its type: a file may be JSON or look like a form. */
function isRawChunk (request: FastifyRequest): boolean {
  const length = chunkLength(request.headers['content-range'])
  return length !== undefined && length === contentLength(request)
}

function rawChunk (request: FastifyRequest): Chunk {
  const body = bodyOf(request)
  return {
    body,
    contentType: mediaType(request) || null,
    contentEncoding: contentCoding(request),
    filename: dispositionFilename(request.headers['content-disposition']) ?? '',
    fields: new Map(),
    length: contentLength(request),
    pace: paceOf(request),
    atomic: false,
    finish: async () => {}
  }
}

/** Bytes that are read of a chunk beyond its announced end, only to say how long it is. */
const EXCESS_BYTES = 16 * 1024 * 1024

/**
 * Stores a chunk. Of one that is longer or shorter than announced the rest is read too, within limits.
 * @throws {LengthMismatch} with the real length {@link BodyCut} {@link BodyStalled}, and what `store` throws
 */
export async function storeTellingLength<T> ({ body, length, pace }: Chunk, store: () => Promise<T>): Promise<T> {
  if (length === undefined) return await tellingLength(body, { pace, most: bytes => bytes + EXCESS_BYTES }, store)
  try {
    return await store()
  } catch (error) {
    throw error instanceof LengthMismatch ? new LengthMismatch(length, error.expected) : error
  }
}
