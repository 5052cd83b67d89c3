import type { Refusal } from '../refusal.js'
import { refuse } from './errors.js'
import type { TusContext } from './mount.js'

/** The URL of an upload, for Location. */
export function locationOf ({ mount, request }: TusContext, id: string): string {
  const { origin = '', path } = mount.address(request)
  return `${mount.settings.relativeLocation ? '' : origin}${path}/${id}`
}

/**
 * The id of an upload by its URL, which is absolute or relative to the mount; nothing outside the mount is ever looked at.
 * The scheme does not count: clients may see https where we see http.
 * @throws {Refusal} 400
 */
export function idAt (url: string, { mount, request }: TusContext): string {
  const { origin = 'http://localhost', path } = mount.address(request)
  const host = origin.slice(origin.indexOf('//') + 2)
  const base = `${origin}${path}/`
  if (!URL.canParse(url, base)) throw notHere()
  const target = new URL(url, base)
  const id = target.pathname.startsWith(`${path}/`) ? target.pathname.slice(path.length + 1) : ''
  const sameHost = /^https?:$/.test(target.protocol) && new URL(`${target.protocol}//${host}`).host === target.host
  if (!sameHost || !/^[\w-]+$/.test(id) || target.search !== '' || target.hash !== '') throw notHere()
  return id
}

const notHere = (): Refusal => refuse(400, 'CONCAT', 'Upload-Concat names something else than uploads of this server')
