import type { Readable } from 'node:stream'
import contentDisposition from 'content-disposition'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { UploadEngine } from '../../engine/index.js'
import { type ByteRange, type Upload, offsetOf } from '../../upload.js'
import { cleanFileName } from '../../file-name.js'
import { contentRangeOf, multiRange } from './multi-range.js'
import { checkPreconditions, httpDate, rangeHolds, type Validators } from './preconditions.js'
import { parseRange } from './ranges.js'

export interface DownloadOptions {
  /**
   * Media types that the browser may show (`image/*` for all images); others are saved as files. `text/html` and the like would run
   * scripts in the page's origin, so they are shown in a sandbox only.
   * @default none
   */
  readonly inline?: readonly string[]
  /** Media type of the reply. @default what the client said it uploads, `application/octet-stream` when that is none */
  readonly contentType?: string
  /** Content-Encoding that the bytes were sent with, and still have. @default none */
  readonly contentEncoding?: string
  /** Name under which browsers save the file. @default what the client called it */
  readonly filename?: string
}

/** A request and its reply, as the context of a verb has them. */
export interface Exchange {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
}

/**
 * Answers a GET or HEAD with the bytes of an upload: the whole file, or of an unfinished upload what is there from byte 0 on. Serves
 * ranges, single and several, and conditions (RFC 9110, sections 13 and 14): 200, 206, 304, 412 or 416. Nothing is buffered, and a client
 * that goes away closes the storage's stream. Whether the request may have the file is for the caller to know: `engine.get` says so.
 *
 * The ETag is the file's checksum where there is one, else made of what changes when the bytes do.
 * @throws {UploadGone} {@link UploadExpired} {@link StorageTrouble}, before the reply has begun
 */
export async function sendUpload (
  { request, reply }: Exchange, engine: Pick<UploadEngine, 'open' | 'present'>, known: Upload, options: DownloadOptions = {}
): Promise<FastifyReply> {
  const upload = await engine.present(known)
  const size = upload.status === 'complete' ? upload.size : offsetOf(upload)
  const validators = validatorsOf(upload, size)
  reply.headers({
    etag: validators.etag,
    'last-modified': httpDate(validators.modifiedAt),
    'accept-ranges': 'bytes',
    // Who may see the file can change, and what an unfinished upload has: caches ask each time. Other encodings would have other ranges.
    'cache-control': 'private, no-cache, no-transform',
    'x-content-type-options': 'nosniff'
  })

  // @fastify/compress does not look at no-transform, but at this. What it makes of the bytes would have the same strong ETag.
  request.raw.headers['x-no-compression'] = '1'

  const verdict = checkPreconditions(request.headers, validators)
  if (verdict !== undefined) return reply.code(verdict).send()

  const contentType = options.contentType ?? safeType(upload.contentType)
  // There is no other form of the bytes, whatever Accept-Encoding says.
  const { contentEncoding = '' } = options
  if (CODINGS.test(contentEncoding)) reply.header('content-encoding', contentEncoding)
  const shown = isInline(contentType, options.inline ?? [])
  const name = safeName(options.filename ?? upload.filename)
  reply.header('content-disposition', contentDisposition(name, {
    type: shown ? 'inline' : 'attachment',
    // Browsers take a header's Latin-1 letters for UTF-8 or for nothing (RFC 6266, appendix D): with this there is a `filename*` for them.
    fallback: name.replace(/[^\x20-\x7e]/gu, '?')
  }))
  if (shown && !PASSIVE.test(contentType)) reply.header('content-security-policy', 'sandbox')

  /** A storage may take long to begin, and a client that leaves meanwhile would have it go on for nothing. */
  const open = async (wanted: ByteRange): Promise<Readable> => {
    const left = new AbortController()
    const leave = (): void => { left.abort() }
    reply.raw.once('close', leave)
    try {
      return await engine.open(upload, wanted, { signal: left.signal })
    } finally {
      reply.raw.off('close', leave)
    }
  }
  const answer = async (type: string, length: number, begin: () => Readable | Promise<Readable>): Promise<FastifyReply> => {
    // HEAD opens nothing: its headers are all there is.
    const body = request.method === 'HEAD' || length === 0 ? undefined : await begin()
    return reply.headers({ 'content-type': type, 'content-length': length }).send(body)
  }
  const { range } = request.headers
  // Ranges are defined for GET alone (RFC 9110, section 14.2).
  const wanted = range !== undefined && request.method === 'GET' && rangeHolds(request.headers, validators)
  const ranges = wanted ? parseRange(range, size) : undefined
  if (ranges === undefined) return await answer(contentType, size, () => open([0, size]))

  const [first, ...others] = ranges
  if (first === undefined) {
    return reply.code(416).removeHeader('content-disposition').removeHeader('content-encoding')
      .header('content-range', `bytes */${size}`).send()
  }
  reply.code(206)
  if (others.length === 0) {
    reply.header('content-range', contentRangeOf(first, size))
    return await answer(contentType, first[1] - first[0], () => open(first))
  }
  const several = multiRange(ranges, size, contentType, open)
  return await answer(several.contentType, several.length, several.body)
}

/** The coding of the bytes, for protocols that note Content-Encoding in the metadata of an upload. */
export function keptCoding ({ metadata: { contentEncoding } }: Upload): Pick<DownloadOptions, 'contentEncoding'> {
  return typeof contentEncoding === 'string' ? { contentEncoding } : {}
}

/** Types that cannot run scripts, whatever a browser makes of them; what it makes of others is for the browser to know. */
const PASSIVE = /^(?:image\/(?!svg)|audio\/|video\/|font\/|text\/plain|application\/pdf)/i

/** A media type as RFC 9110, section 8.3.1, writes it, with its parameters. */
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?:\s*;\s*[\w!#$&^.+-]+=(?:[\w!#$&^.+:/-]+|"[\w !#$&^.+:/,;=()-]*"))*$/

/** A list of content codings (RFC 9110, section 8.4). */
const CODINGS = /^[\w!#$&^.+*'`|~-]{1,40}(?:\s*,\s*[\w!#$&^.+*'`|~-]{1,40}){0,3}$/

function safeType (contentType: string | null): string {
  return contentType !== null && contentType.length <= 255 && MEDIA_TYPE.test(contentType) ? contentType : 'application/octet-stream'
}

function isInline (contentType: string, inline: readonly string[]): boolean {
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  return inline.some(entry => {
    const wanted = entry.toLowerCase()
    return wanted === type || (wanted.endsWith('/*') && type.startsWith(wanted.slice(0, -1)))
  })
}

/** Characters of a name in a header: clients refuse heads that are too long. */
const NAME_LENGTH = 255

/** Names are for people: nothing in them may be unseen, or write backwards to hide how the name ends. */
function safeName (name: string): string {
  const clean = cleanFileName(name).replace(/[\p{Cf}\p{Zl}\p{Zp}]/gu, '')
  return clean === '' ? 'download' : [...clean].slice(0, NAME_LENGTH).join('')
}

function validatorsOf (upload: Upload, size: number): Validators {
  const { id, checksum, updatedAt } = upload
  // An upload only grows, so that its id and size name its bytes.
  const value = upload.status === 'complete' && checksum !== null && checksum.value !== null
    ? `${checksum.algorithm}-${checksum.value}`
    : `${id}-${size.toString(36)}`
  return { etag: `"${value}"`, modifiedAt: upload.status === 'complete' ? upload.completedAt : updatedAt }
}
