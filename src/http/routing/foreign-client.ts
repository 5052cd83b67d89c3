import type { FastifyRequest } from 'fastify'
import { ForeignClient } from '../../errors.js'

/** The protocols of this package that put into header fields what a body is a part of. */
export type HeaderProtocol = 'tus' | 'resumableHttp' | 'contentRange'

/** A sign that a request was made for another protocol, and what the host can do then. */
interface Mark {
  readonly client: string
  readonly instead: string
}

interface HeaderMark extends Mark {
  readonly header: string
  /** Whether this value is a mark; any is where this is left out. */
  readonly shows?: (value: string) => boolean
  /** The protocols that the field belongs to. */
  readonly of?: readonly HeaderProtocol[]
}

const RESUMING = 'use a client of tus(), as tus-js-client or Uppy, or of contentRange(), as UpChunk'
const WHOLE = `turn its chunks off and send whole files to contentRange({ checksum: false }), or ${RESUMING}`

/** Fields that clients send with each chunk, in the form or in the query. A request must have all fields of a row. */
const FIELDS: ReadonlyArray<Mark & { readonly fields: readonly string[] }> = [
  { client: 'Dropzone', fields: ['dzuuid'], instead: WHOLE },
  { client: 'Dropzone', fields: ['dzchunkindex'], instead: WHOLE },
  { client: 'Resumable.js', fields: ['resumableChunkNumber'], instead: RESUMING },
  { client: 'Resumable.js', fields: ['resumableIdentifier'], instead: RESUMING },
  { client: 'Flow.js', fields: ['flowChunkNumber'], instead: RESUMING },
  { client: 'Flow.js', fields: ['flowIdentifier'], instead: RESUMING },
  { client: 'simple-uploader.js', fields: ['chunkNumber', 'totalChunks'], instead: RESUMING },
  { client: 'Fine Uploader', fields: ['qqpartindex'], instead: WHOLE },
  { client: 'Plupload', fields: ['chunk', 'chunks'], instead: WHOLE },
  { client: 'ng-file-upload', fields: ['_chunkNumber'], instead: WHOLE }
]

const HEADERS: readonly HeaderMark[] = [
  { client: 'FilePond', header: 'upload-name', instead: WHOLE },
  { client: 'huge-uploader', header: 'uploader-chunk-number', instead: RESUMING },
  { client: 'tus', header: 'tus-resumable', of: ['tus'], instead: 'send it to a mount of tus()' },
  // A client that only says that the file ends with this request is testing whether the server can resume: any server may take it.
  ...[['upload-complete', '?0'], ['upload-incomplete', '?1']].map(([header = '', more]): HeaderMark => ({
    client: 'Resumable Uploads for HTTP',
    header,
    shows: value => value.trim() === more,
    of: ['resumableHttp'],
    instead: 'send it to a mount of resumableHttp()'
  })),
  {
    client: 'tus or Resumable Uploads for HTTP',
    header: 'upload-offset',
    of: ['tus', 'resumableHttp'],
    instead: 'send it to a mount of tus() or resumableHttp()'
  },
  {
    client: 'contentRange',
    header: 'content-range',
    shows: isPart,
    of: ['contentRange'],
    instead: 'send it by PUT to a mount of contentRange()'
  }
]

/** Fields with which a request is one of the protocol, whatever else it says. */
const OWN: Readonly<Record<HeaderProtocol, readonly string[]>> = {
  tus: ['tus-resumable'],
  resumableHttp: ['upload-complete', 'upload-incomplete'],
  contentRange: ['content-range']
}

/**
 * Refuses a request whose query or header fields are those of a client for another protocol. Taken for its own, each chunk would become an
 * upload, or a list would be read as "is there already", and the page would tell of success.
 * @param speaks the protocol of the route, where it is one of these
 * @throws {ForeignClient}
 */
export function assertOwnClient ({ headers, query }: FastifyRequest, speaks: HeaderProtocol | undefined): void {
  assertOwnFields(new Set(Object.keys(Object(query))))
  if (speaks !== undefined && OWN[speaks].some(name => name in headers)) return
  const mark = HEADERS.find(({ header, shows = () => true, of = [] }) => {
    const value = headers[header]
    return value !== undefined && !of.some(one => one === speaks) && shows(String(value))
  })
  if (mark !== undefined) throw new ForeignClient(mark.client, mark.header, mark.instead)
}

/** The same by the names of the form fields that were read so far. @throws {ForeignClient} */
export function assertOwnFields (names: ReadonlySet<string>): void {
  const mark = FIELDS.find(({ fields }) => fields.every(name => names.has(name)))
  if (mark !== undefined) throw new ForeignClient(mark.client, mark.fields.join(', '), mark.instead)
}

/** True where a Content-Range names a part of a file. */
export function isPart (value: string): boolean {
  const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(value) ?? []
  return first !== undefined && last !== undefined && (BigInt(first) > 0n || total === '*' || BigInt(last) + 1n < BigInt(total ?? 0))
}
