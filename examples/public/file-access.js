/**
 * The files of a drop, with their handles where the browser gives such. Call it within the event: a moment later the
 * browser has forgotten the items. Folders are counted only.
 */
export function droppedFiles ({ items }) {
  const entries = [...items].filter(({ kind }) => kind === 'file')
  const isFolder = item => item.webkitGetAsEntry?.()?.isDirectory === true
  const files = entries.filter(item => !isFolder(item)).map(item => ({
    file: item.getAsFile(),
    handle: item.getAsFileSystemHandle?.().catch(() => null) ?? Promise.resolve(null)
  }))
  return {
    folders: entries.length - files.length,
    files: Promise.all(files.map(async ({ file, handle }) => ({ file, handle: await handle })))
  }
}

/** Asks the user for files. Resolves with an empty list when the user changes their mind. */
export async function chosenFiles (input, { multiple }) {
  if ('showOpenFilePicker' in window) {
    try {
      const handles = await window.showOpenFilePicker({ multiple })
      return await Promise.all(handles.map(async handle => ({ handle, file: await handle.getFile() })))
    } catch (error) {
      if (error.name === 'AbortError') return []
      throw error
    }
  }
  input.multiple = multiple
  input.click()
  return []
}

/** Opens the file of a remembered handle. Null when the user or the browser says no, or the file is gone. */
export async function reopen (handle, { ask }) {
  const wanted = { mode: 'read' }
  try {
    const granted = await handle.queryPermission(wanted) === 'granted' || (ask && await handle.requestPermission(wanted) === 'granted')
    return granted ? await handle.getFile() : null
  } catch {
    return null
  }
}
