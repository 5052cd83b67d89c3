/**
 * A file name as clients may send it: without folders of either kind, control characters and the blanks around it. Empty when nothing
 * is left, and for the names of folders. It is for people and records; storage never builds a path from it.
 */
export function cleanFileName (text: string): string {
  const name = text.split(/[/\\]/).at(-1)?.replace(/\p{Cc}/gu, '').trim() ?? ''
  return name === '.' || name === '..' ? '' : name.replace(/\p{Surrogate}/gu, '\ufffd')
}
