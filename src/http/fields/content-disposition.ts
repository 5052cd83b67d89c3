/**
 * The file name of a Content-Disposition header (RFC 6266): `filename*` (RFC 8187) goes before `filename`, whose percent-encoding, which
 * some browser uploaders apply to it, is undone. Undefined when there is none that can be read.
 */
export function dispositionFilename (header: string | undefined): string | undefined {
  const parameters = parametersOf(header ?? '')
  return extended(parameters.get('filename*')) ?? plain(parameters.get('filename'))
}

/**
 * The header of a form's part with one name, as `filename`. Clients that send `filename*`, too (HttpClient of .NET, Apache), mean that one,
 * wherever it stands; one that cannot be read gives way to the other.
 * @param header bytes as latin1, and so is the answer
 */
export function withOneFilename (header: string): string {
  const parameters = parametersOf(header)
  const name = extended(parameters.get('filename*'))
  if (!parameters.has('filename*') || (name === undefined && !parameters.has('filename'))) return header
  const without = header.replace(PARAMETER, (whole, key: string) => {
    return /^filename\*$/i.test(key) || (name !== undefined && /^filename$/i.test(key)) ? '' : whole
  })
  if (name === undefined) return without
  return `${without}; filename="${Buffer.from(name).toString('latin1').replace(/[\r\n]/g, '').replace(/["\\]/g, '\\$&')}"`
}

const PARAMETER = /;\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/gs

/** By their names in lower case; the first of several counts. */
function parametersOf (header: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>()
  for (const [, name = '', quoted, token = ''] of header.matchAll(PARAMETER)) {
    const key = name.toLowerCase()
    if (!parameters.has(key)) parameters.set(key, quoted?.replace(/\\(.)/gs, '$1') ?? token)
  }
  return parameters
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
