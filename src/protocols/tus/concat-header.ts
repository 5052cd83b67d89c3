import { badHeader } from './errors.js'
import { headerOf } from './headers.js'
import { idAt } from './location.js'
import type { TusContext } from './mount.js'

/** What Upload-Concat asks for. */
export type Concat =
  | { readonly kind: 'partial', readonly raw: 'partial' }
  | { readonly kind: 'final', readonly raw: string, readonly parts: readonly string[] }

/** Upload-Concat with the ids of the parts; undefined without it. @throws {Refusal} 400 */
export function concatOf (context: TusContext): Concat | undefined {
  const { mount: { settings }, request } = context
  const raw = headerOf(request, 'Upload-Concat')
  if (raw === undefined) return undefined
  if (!settings.extensions.has('concatenation')) throw badHeader('Upload-Concat', 'is not supported here')
  if (raw === 'partial') return { kind: 'partial', raw }
  const urls = raw.startsWith('final;') ? raw.slice('final;'.length).split(' ').filter(url => url !== '') : []
  if (urls.length === 0) throw badHeader('Upload-Concat', 'must be partial, or final; and the URLs of the parts')
  if (urls.length > settings.maxParts) throw badHeader('Upload-Concat', `must not name more than ${settings.maxParts} parts`)
  return { kind: 'final', raw, parts: urls.map(url => idAt(url, context)) }
}
