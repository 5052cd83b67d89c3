/**
 * The file name of a Content-Disposition header (RFC 6266): `filename*` (RFC 8187) goes before `filename`, whose percent-encoding, which
 * some browser uploaders apply to it, is undone. Undefined when there is none that can be read.
 */
export function dispositionFilename (header: string | undefined): string | undefined {
  const parameters = new Map<string, string>()
  const pattern = /;\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/gs
  for (const [, name = '', quoted, token = ''] of (header ?? '').matchAll(pattern)) {
    const key = name.toLowerCase()
    if (!parameters.has(key)) parameters.set(key, quoted?.replace(/\\(.)/gs, '$1') ?? token)
  }
  return extended(parameters.get('filename*')) ?? plain(parameters.get('filename'))
}

function extended (value: string | undefined): string | undefined {
  const [, charset = '', encoded] = /^([\w-]+)'[^']*'(.*)$/s.exec(value ?? '') ?? []
  if (encoded === undefined) return undefined
  if (charset.toLowerCase() === 'utf-8') return decoded(encoded)
  if (charset.toLowerCase() !== 'iso-8859-1') return undefined
  return encoded.replace(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
}

function plain (value: string | undefined): string | undefined {
  if (value === undefined) return undefined
  // Node reads header bytes as latin1; clients that write UTF-8 into the quotes mean UTF-8.
  const text = Buffer.from(value, 'latin1')
  const utf8 = text.toString('utf8')
  const readable = utf8.includes('\ufffd') ? value : utf8
  return decoded(readable) ?? readable
}

function decoded (text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
