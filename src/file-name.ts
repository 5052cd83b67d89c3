/**
 * A file name as clients may send it: without folders of either kind, line breaks and other control characters, characters that turn the
 * direction of writing, the blanks around it, and dots at its end, which Windows drops. Empty when nothing is left, and for the names of
 * folders. It is for people and records; storage never builds a path from it.
 */
export function cleanFileName (text: string): string {
  const last = text.split(/[/\\]/).at(-1) ?? ''
  const name = last.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu, '').trim()
  if (name === '.' || name === '..') return ''
  return withoutEnd(name).replace(/\p{Surrogate}/gu, '\ufffd')
}

/** By hand: a regular expression for the dots at the end would look at many dots again and again. A name of dots alone stays. */
function withoutEnd (name: string): string {
  let end = name.length
  while (end > 0 && (name[end - 1] === '.' || name[end - 1] === ' ')) end--
  return end === 0 ? name : name.slice(0, end)
}
