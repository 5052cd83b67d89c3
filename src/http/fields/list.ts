import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import type { Upload } from '../../upload.js'

/** Characters of a list that are sent at once. */
const PAGE = 16 * 1024

/**
 * Sends a JSON array of uploads while they are read, so that its length does not matter. An upload for which `record` returns undefined is
 * left out. What goes wrong with the first of them has an error reply; what goes wrong later cuts the connection. A short list
 * has a length.
 */
export async function sendList (
  reply: FastifyReply, uploads: AsyncIterable<Upload>, record: (upload: Upload) => object | undefined
): Promise<FastifyReply> {
  const pages = jsonArray(uploads, record)
  const first = await pages.next()
  const second = await pages.next()
  reply.type('application/json; charset=utf-8')
  const begin = first.done === true ? '[]' : first.value
  return second.done === true ? reply.send(begin) : reply.send(Readable.from(whole([begin, second.value], pages)))
}

async function * whole (begin: readonly string[], rest: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  yield * begin
  yield * rest
}

async function * jsonArray (
  uploads: AsyncIterable<Upload>, record: (upload: Upload) => object | undefined
): AsyncGenerator<string, void, undefined> {
  let page = '['
  let empty = true
  for await (const upload of uploads) {
    const listed = record(upload)
    if (listed === undefined) continue
    page += `${empty ? '' : ','}${JSON.stringify(listed)}`
    empty = false
    if (page.length < PAGE) continue
    yield page
    page = ''
  }
  yield `${page}]`
}
