import type { FastifyRequest } from 'fastify'
import type { UploadDraft } from './engine/index.js'
import { InvalidOption, TypeNotAllowed } from './errors.js'
import { isMediaType } from './option-rules.js'
import type { ChunkedUploadOptions } from './options.js'

/** What the type of a whole file is found by. */
interface WholeFile {
  readonly filename: string
  readonly contentType: string | null
  readonly partial?: boolean
}

/** The types of the uploads of one request: what `detectType` says where the client says none, and what `allowedTypes` makes of it. */
export class UploadTypes {
  readonly #options: Pick<ChunkedUploadOptions, 'allowedTypes' | 'detectType'>
  readonly #request: FastifyRequest

  constructor (options: Pick<ChunkedUploadOptions, 'allowedTypes' | 'detectType'>, request: FastifyRequest) {
    this.#options = options
    this.#request = request
  }

  /** The draft with a type by its name, where its client declares none. */
  async named (draft: UploadDraft): Promise<UploadDraft> {
    if (draft.partial === true || !isUndeclared(draft.contentType)) return draft
    const contentType = await this.#detect(draft.filename, null)
    return contentType === undefined ? draft : { ...draft, contentType }
  }

  /** An undeclared type is checked once the bytes are there, if the host detects types. @throws {TypeNotAllowed} */
  async check ({ contentType, partial }: UploadDraft): Promise<void> {
    const waits = this.#options.detectType !== undefined && isUndeclared(contentType)
    if (partial !== true && !waits) await this.#assertAllowed(contentType)
  }

  /** The type of a whole file: by its first bytes where it has none. @throws {TypeNotAllowed} */
  async whole ({ filename, contentType }: WholeFile, firstBytes: () => Promise<Uint8Array>): Promise<string | null> {
    if (!isUndeclared(contentType)) return contentType
    const type = await this.#detect(filename, await firstBytes()) ?? contentType
    await this.#assertAllowed(type)
    return type
  }

  async #detect (filename: string, bytes: Uint8Array | null): Promise<string | undefined> {
    const type: unknown = await this.#options.detectType?.({ filename, bytes }, this.#request) ?? undefined
    if (type === undefined || (isMediaType(type))) return type
    throw new InvalidOption('detectType', "must return a media type, such as 'video/mp4', or undefined")
  }

  async #assertAllowed (contentType: string | null): Promise<void> {
    if (!await isAllowed(this.#options.allowedTypes, contentType, this.#request)) throw new TypeNotAllowed(contentType ?? '')
  }
}

/** The type that browsers send for a slice of a file means no more than none. */
function isUndeclared (contentType: string | null): boolean {
  return contentType === null || ['', 'application/octet-stream'].includes(essenceOf(contentType))
}

function essenceOf (contentType: string): string {
  return contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
}

async function isAllowed (
  allowed: ChunkedUploadOptions['allowedTypes'], contentType: string | null, request: FastifyRequest
): Promise<boolean> {
  if (allowed === undefined) return true
  if (typeof allowed === 'function') return await allowed(contentType, request)
  const type = essenceOf(contentType ?? '')
  return allowed.some(entry => {
    const wanted = entry.toLowerCase()
    return wanted === type || wanted === '*/*' || (wanted.endsWith('/*') && type.startsWith(wanted.slice(0, -1)))
  })
}
