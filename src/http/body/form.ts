import { parse as parseQuery } from 'node:querystring'
import type { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import type { BodyPace } from '../../body-pace.js'
import { ForeignClient, FormInvalid, FormTooLarge, JsonInvalid, SecondFile } from '../../errors.js'
import { assertOwnFields } from '../routing/foreign-client.js'
import { type FilePart, type Part, readParts } from './multipart.js'
import { readBody } from './read-body.js'
import { assertUncoded, bodyOf, paceOf } from './stream-scope.js'

/** Bytes that a small form or JSON body may have. */
const FORM_BYTES = 1024 * 1024

/** Media type of the body in lower case, without parameters; empty without a header. */
export function mediaType (request: FastifyRequest): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

/** Which kinds of small bodies there are. */
export type FormKind = 'json' | 'urlencoded' | 'multipart'

export function formKind (request: FastifyRequest): FormKind | undefined {
  const type = mediaType(request)
  if (type === 'application/json' || /^application\/[^;]+\+json$/.test(type)) return 'json'
  if (type === 'application/x-www-form-urlencoded') return 'urlencoded'
  return type === 'multipart/form-data' ? 'multipart' : undefined
}

/** The parts of a multipart form. @throws {BodyEncoded} {@link ForeignClient}, and as {@link readParts} */
export async function * partsOf (request: FastifyRequest): AsyncGenerator<Part, void, undefined> {
  assertUncoded(request)
  const fields = new Set<string>()
  for await (const part of readParts(bodyOf(request), request.headers['content-type'] ?? '', paceOf(request))) {
    if (part.kind === 'field') assertOwnFields(fields.add(part.name))
    yield part
  }
}

/** True where the rest of a form tells that its bytes are not what they were taken for, or not all. */
export function isMisread (error: unknown): boolean {
  return error instanceof SecondFile || error instanceof ForeignClient
}

/**
 * Reads a file part beside the one that the request is about. Where a page's form has a field in which no file was chosen, the part is
 * empty and has no name.
 * @throws {SecondFile} it is a file
 */
export async function assertNoFile ({ name, filename, body }: FilePart): Promise<void> {
  const first = await body.iterator({ destroyOnReturn: false }).next()
  if (filename !== '' || first.done !== true) throw new SecondFile(name)
}

/**
 * A small body as its fields: of JSON, of a URL-encoded or of a multipart form (files in it are skipped). An empty body has none.
 * The object has no prototype, so that any name is just a name.
 * @throws {BodyEncoded} {@link JsonInvalid} {@link FormInvalid} {@link FormTooLarge} {@link BodyCut} {@link BodyStalled}
 */
export async function readForm (request: FastifyRequest): Promise<Readonly<Record<string, unknown>>> {
  const kind = formKind(request)
  const fields: Record<string, unknown> = Object.create(null)
  if (kind === 'multipart') {
    for await (const part of partsOf(request)) {
      if (part.kind === 'field') fields[part.name] = part.value
    }
    return fields
  }
  assertUncoded(request)
  const text = await readText(bodyOf(request), paceOf(request))
  if (text === '' || kind === undefined) return fields
  const parsed: unknown = kind === 'json' ? parseJson(text) : parseQuery(text)
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new FormInvalid('an object is expected')
  return Object.assign(fields, parsed)
}

/**
 * A small body as text.
 * @throws {FormTooLarge} {@link BodyCut} {@link BodyStalled}
 */
async function readText (body: Readable, pace: BodyPace): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  await readBody(body, pace, data => {
    bytes += data.length
    parts.push(data)
    return bytes <= FORM_BYTES
  })
  if (bytes > FORM_BYTES) throw new FormTooLarge(`at most ${FORM_BYTES} bytes`)
  return Buffer.concat(parts).toString('utf8')
}

function parseJson (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new JsonInvalid(error instanceof Error ? error.message : String(error))
  }
}
