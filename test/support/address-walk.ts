import { chunkTasks, contentRange, formAppend, type Protocol, rawAppend, resumableHttp, tus } from '../../src/index.js'
import { type Answer, type Fields, send } from './resumable-client.js'
import { chunkForm, form, type FormMessage, type FormPart, json, type Message } from './server.js'

/** Every protocol, each below a prefix of its own. */
export function everyProtocol (relativeLocation: boolean): readonly Protocol[] {
  return [
    contentRange({ prefix: '/range' }), tus({ prefix: '/tus', relativeLocation }),
    resumableHttp({ prefix: '/resumable', relativeLocation }),
    formAppend({ prefix: '/form', listAnonymous: true }), chunkTasks({ prefix: '/tasks' }), rawAppend({ prefix: '/raw' })
  ]
}

/**
 * A client that knows nothing but the public URL of a registration, and calls only what replies tell it. Uploads files with every protocol,
 * and gathers each address that a reply has: in `Location`, `Content-Location`, `Link`, and in any text of its JSON.
 */
export class AddressWalk {
  readonly told = new Map<string, string>()
  readonly #base: string
  readonly #entry: string

  /** @param entry origin at which the host of `base` can be reached */
  constructor (base: string, entry: string) {
    this.#base = base
    this.#entry = entry
  }

  /** A request to an address of a reply, or to a path below the public URL that starts with `./`. */
  async call (method: string, address: string, message: Message = {}): Promise<Answer> {
    const url = new URL(address, `${this.#base}/`)
    if (url.origin !== new URL(this.#base).origin) throw new Error(`${address} is at another host than ${this.#base}`)
    const headers: Fields = Object.fromEntries(Object.entries(message.headers ?? {}).map(([name, value]) => [name, String(value)]))
    const answer = await send(this.#entry + url.pathname + url.search, { method, headers, body: message.body })
    if (answer.status >= 300) throw new Error(`${method} ${url.href}: ${answer.status} ${answer.text}`)
    this.#gather(`${method} ${address}`, answer)
    return answer
  }

  async contentRange (): Promise<void> {
    const first = await this.call('PUT', './range/', chunkForm('01234', 'bytes 0-4/10'))
    const url = textOf(first, 'url')
    await this.call('PUT', url, chunkForm('56789', 'bytes 5-9/10'))
    await this.call('POST', url, json({ md5: '781e5e245d69b566979b86e28d23f2c7' }))
    await this.call('GET', './range/')
  }

  /** @returns the address of the file that two parts make */
  async tus (): Promise<string> {
    const version = { 'tus-resumable': '1.0.0' }
    const parts: string[] = []
    for (const bytes of ['01234', '56789']) {
      const { headers } = await this.call('POST', './tus', { headers: { ...version, 'upload-length': 5, 'upload-concat': 'partial' } })
      const part = String(headers.location)
      const patch = { ...version, 'upload-offset': 0, 'content-type': 'application/offset+octet-stream' }
      await this.call('PATCH', part, { headers: patch, body: bytes })
      parts.push(part)
    }
    const { headers } = await this.call('POST', './tus', { headers: { ...version, 'upload-concat': `final;${parts.join(' ')}` } })
    return String(headers.location)
  }

  /** @param path of the mount, or of a route of the host that can be resumed */
  async resumable (path = './resumable'): Promise<void> {
    const version = { 'upload-draft-interop-version': 9 }
    const created = { ...version, 'upload-complete': '?0', 'content-type': 'text/plain' }
    const { headers, interims } = await this.call('POST', path, { headers: created, body: '01234' })
    for (const interim of interims) this.#gather(`104 of POST ${path}`, { headers: interim.headers, text: '' })
    const append = { ...version, 'upload-complete': '?1', 'upload-offset': 5, 'content-type': 'application/partial-upload' }
    await this.call('PATCH', String(headers.location), { headers: append, body: '56789' })
  }

  async formAppend (): Promise<void> {
    const part = (content: string, ...more: readonly FormPart[]): FormMessage => form([...more, { name: 'file', filename: 'a', content }])
    const id = textOf(await this.call('POST', './form/upload/', part('01234')), 'upload_id')
    await this.call('POST', './form/upload/', part('56789', { name: 'upload_id', content: id }))
    await this.call('POST', './form/upload/complete/', json({ upload_id: id }))
    await this.call('GET', './form/videos/')
  }

  async chunkTasks (): Promise<void> {
    const wanted = { hash: '', file_name: 'a', file_size: 10, content_type: 'text/plain' }
    const task = textOf(await this.call('POST', './tasks/create', json(wanted)), 'task_id')
    await this.call('POST', `./tasks/chunk/${task}/0`, form([{ name: 'chunk', filename: 'a', content: '0123456789' }]))
    await this.call('GET', `./tasks/progress/${task}`)
    await this.call('GET', `./tasks/resume/${task}`)
    await this.call('GET', `./tasks/tasks/${task}/details`)
    await this.call('POST', `./tasks/complete/${task}`)
    await this.call('GET', './tasks/tasks')
  }

  async rawAppend (): Promise<void> {
    const id = textOf(await this.call('POST', './raw/create_video/'), 'video_id')
    await this.call('POST', `./raw/append_video/${id}/`, { body: '0123456789' })
  }

  /** Calls what replies have told. @returns the addresses */
  async callTold (): Promise<readonly string[]> {
    const told = [...this.told]
    for (const [address, by] of told) {
      const headers = by.endsWith('/tus') ? { 'tus-resumable': '1.0.0' } : {}
      await this.call('HEAD', address, { headers }).catch((error: unknown) => {
        throw new Error(`told by ${by}`, { cause: error })
      })
    }
    return told.map(([address]) => address)
  }

  #gather (by: string, { headers, text }: Pick<Answer, 'headers' | 'text'>): void {
    const links = [headers.link ?? []].flat().flatMap(link => [...link.matchAll(/<([^>]*)>/g)].map(([, target = '']) => target))
    const location = [headers.location, headers['content-location']].filter(value => value !== undefined)
    for (const address of [...location, ...links, ...addressesIn(text)]) if (!this.told.has(address)) this.told.set(address, by)
  }
}

function addressesIn (text: string): string[] {
  return [...text.matchAll(/"((?:https?:\/)?\/[^"]*)"/g)].map(([, address = '']) => address)
}

function textOf ({ text }: Answer, name: string): string {
  const found: unknown = Object(JSON.parse(text))[name]
  if (found === undefined || found === null) throw new Error(`no ${name} in ${text}`)
  return String(found)
}
