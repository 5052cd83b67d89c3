import { EventEmitter } from 'node:events'
import type { Readable } from 'node:stream'
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy'
import type { BodyPace } from '../../body-pace.js'
import { BodyCut, FormInvalid, FormTooLarge } from '../../errors.js'
import { withOneFilename } from '../fields/content-disposition.js'
import { watchPace } from './stall-watch.js'

export interface FieldPart {
  readonly kind: 'field'
  readonly name: string
  readonly value: string
}

export interface FilePart {
  readonly kind: 'file'
  readonly name: string
  /** As the client sent it, with its folders; UTF-8. */
  readonly filename: string
  readonly contentType: string
  /** What is left of it when the next part is asked for is skipped. Errors when the connection breaks. */
  readonly body: Readable
}

export type Part = FieldPart | FilePart

/** Its pace holds while a part or the next one is wanted. */
interface MultipartLimits extends BodyPace {
  readonly fields: number
  readonly fieldBytes: number
  /** Bytes of all text fields together. */
  readonly textBytes: number
  readonly parts: number
  /**
   * Bytes that are neither a field's nor a wanted file's, all together: before the first boundary, heads of parts, files that are skipped,
   * and what follows the last boundary.
   */
  readonly overheadBytes: number
}

/** Bytes of a part's head; the parser cuts off what goes beyond. */
const HEAD_BYTES = 16 * 1024
const NAME_LENGTH = 1000

const LIMITS: MultipartLimits = {
  fields: 100, fieldBytes: 64 * 1024, textBytes: 1024 * 1024, parts: 200, overheadBytes: 1024 * 1024, stallTimeout: 0
}

/**
 * The parts of a multipart/form-data body, one after the other, as they come. Only `fieldBytes` of a text field are held in memory. Files
 * are not limited here, unless they are skipped: by asking for the next part while nothing reads them.
 * @param contentType the header with its boundary
 * @throws {FormInvalid} malformed {@link FormTooLarge} {@link BodyCut} {@link BodyStalled}
 */
export async function * readParts (
  body: Readable, contentType: string, limits: Partial<MultipartLimits> = {}
): AsyncGenerator<Part, void, undefined> {
  const { fields, fieldBytes, textBytes, parts, overheadBytes, ...pace } = { ...LIMITS, ...limits }
  const busboy = makeBusboy(contentType, { fields, fieldSize: fieldBytes, parts, headerSize: HEAD_BYTES })
  const queue: Part[] = []
  let wake = (): void => {}
  let end: { readonly error?: Error } | undefined
  let file: BusboyFileStream | undefined
  let text = 0
  /** Bytes of the body so far, and those of files that are read. */
  let all = 0
  let wanted = 0
  let excess: Error | undefined
  /** The next part is wanted, and there is none. */
  let waiting = false

  const finish = (error?: Error): void => {
    if (end !== undefined) return
    end = error === undefined ? {} : { error }
    if (error !== undefined && file !== undefined && !file.readableEnded) file.destroy(error)
    wake()
  }
  const push = (part: Part): void => {
    queue.push(part)
    wake()
  }
  const onCut = (cause?: unknown): void => { if (!body.readableEnded) finish(new BodyCut({ cause })) }
  const isNamed = (name: string | undefined): name is string => {
    if (name === undefined) finish(new FormInvalid('a part has no name'))
    else if (name.length > NAME_LENGTH) finish(new FormTooLarge(`the name of a part may have ${NAME_LENGTH} characters`))
    return end === undefined
  }

  busboy.on('file', (name: string | undefined, stream, filename, _encoding, contentType) => {
    file = stream
    // The parser has an error of its own for the reader of a file that breaks off. It gets ours, which has a code and a status.
    const emit = stream.emit.bind(stream)
    stream.emit = (event: string | symbol, ...values: unknown[]) => {
      return (event !== 'error' || values[0] === end?.error) && emit(event, ...values)
    }
    stream.on('error', () => {})
    const give = stream.push.bind(stream)
    stream.push = (data: Uint8Array | null, ...rest: []) => {
      wanted += data?.length ?? 0
      return give(data, ...rest)
    }
    // The parser waits for the end of a stream that can no longer be read.
    stream.once('close', () => { if (!stream.readableEnded) finish(new BodyCut()) })
    if (isNamed(name)) push({ kind: 'file', name, filename: filename ?? '', contentType, body: stream })
  })
  busboy.on('field', (name: string | undefined, value, _nameCut, valueCut) => {
    text += Buffer.byteLength(name ?? '') + Buffer.byteLength(value)
    if (valueCut) finish(new FormTooLarge(`a field may have ${fieldBytes} bytes`))
    else if (text > textBytes) finish(new FormTooLarge(`all fields together may have ${textBytes} bytes`))
    else if (isNamed(name)) push({ kind: 'field', name, value })
  })
  busboy.on('fieldsLimit', () => { finish(new FormTooLarge(`at most ${fields} fields`)) })
  busboy.on('partsLimit', () => { finish(new FormTooLarge(`at most ${parts} parts`)) })
  busboy.on('error', error => { finish(excess ?? new FormInvalid(error instanceof Error ? error.message : String(error))) })
  busboy.on('finish', () => { finish() })
  // This listener stays: a late error of a body that is no longer read must not end the process.
  body.on('error', onCut).on('aborted', onCut).on('close', onCut)
  if (body.destroyed && !body.readableEnded) onCut()
  else if (body.readableEnded) busboy.end()
  else body.pipe(busboy)
  lookAtParts(busboy, () => { finish(new FormInvalid('a part has no name')) })
  const onBytes = ({ length }: Uint8Array): void => {
    all += length
    // Without what the parser has not looked at yet.
    const overhead = all - busboy.writableLength - wanted - text
    if (overhead <= overheadBytes) return
    body.off('data', onBytes)
    excess = new FormTooLarge(`at most ${overheadBytes} bytes beside its fields and its file`)
    // The parser knows whether the form is over: then the rest belongs to no part.
    body.unpipe(busboy).pause()
    busboy.end()
  }
  body.on('data', onBytes)
  const skip = (part: Readable): void => {
    const isRead = part.listenerCount('data') > 0 || part.listenerCount('readable') > 0
    if (!isRead) part.on('data', ({ length }: Uint8Array) => { wanted -= length })
    part.resume()
  }
  const isWanted = (): boolean => waiting && (file === undefined || file.readableEnded)
  const unwatch = watchPace(body, pace, finish, isWanted)

  try {
    while (true) {
      const part = queue.shift()
      if (part !== undefined) {
        yield part
        if (part.kind === 'file') skip(part.body)
      } else if (end !== undefined) {
        if (end.error !== undefined) throw end.error
        return
      } else {
        waiting = true
        await new Promise<void>(resolve => { wake = resolve })
        waiting = false
      }
    }
  } finally {
    unwatch()
    body.off('aborted', onCut).off('close', onCut).off('data', onBytes)
    body.unpipe(busboy)
    if (file !== undefined && !file.readableEnded) file.resume()
  }
}

/**
 * Looks at the heads of parts before the parser does, which takes the name that is written last for the file's, be it `filename` or
 * `filename*`. And tells of parts that are no form's (RFC 7578, section 4.2): the parser skips them in silence, and comes to a halt after
 * some, for ever. It shows neither, so this looks at the parser within it; should that be gone one day, the stall time ends the form.
 */
function lookAtParts (busboy: BusboyInstance, tell: () => void): void {
  const parser: unknown = Reflect.get(Object(Reflect.get(busboy, '_parser')), 'parser')
  if (!(parser instanceof EventEmitter)) return
  parser.prependListener('part', (part: EventEmitter) => {
    part.prependListener('header', (header: Record<string, string[] | undefined>) => {
      const disposition = header['content-disposition']
      if (disposition?.[0] !== undefined) disposition[0] = withOneFilename(disposition[0])
    })
  })
  parser.on('part', (part: EventEmitter) => {
    part.on('header', () => { if (part.listenerCount('data') === 0) tell() })
  })
}

function makeBusboy (contentType: string, limits: Record<string, number>): BusboyInstance {
  try {
    return new Busboy({ headers: { 'content-type': contentType }, limits, preservePath: true })
  } catch (error) {
    throw new FormInvalid(error instanceof Error ? error.message : String(error))
  }
}
