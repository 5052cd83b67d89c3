const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

/** 1234567 → "1.23 MB" (decimal units, as file managers and network speeds have them). */
export function formatSize (bytes) {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1)
  const value = bytes / 1000 ** power
  return `${power === 0 ? value : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${UNITS[power]}`
}

/** Seconds → "48 s", "3 min 20 s", "2 h 5 min". */
export function formatDuration (seconds) {
  const s = Math.max(1, Math.round(seconds))
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`
  return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`
}

/** Rounded down, so that 100 % means all of it. */
export function formatPercent (fraction) {
  return `${Math.floor(fraction * 100)} %`
}

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' })

/** Milliseconds since 1970 → a date and time in the reader's own way. */
export function formatDate (time) {
  return dates.format(time)
}

/** A file's name to look at, without the characters that turn the direction of writing: after one, "gnp.exe" reads "exe.png". */
export function formatName (name) {
  return name.replace(/\p{Bidi_Control}/gu, '')
}

/** RFC 5987, section 3.2.1: percent-encoded UTF-8, and `encodeURIComponent` leaves four characters too many. */
export function encodeExtended (text) {
  const whole = text.replace(/\p{Surrogate}/gu, '\ufffd')
  return encodeURIComponent(whole).replace(/['()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}
