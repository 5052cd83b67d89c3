import { formatDate, formatName, formatSize } from './format.js'
import { protocols } from './protocols.js'
import { request } from './request.js'

/** The list of finished files: download, checksum, delete. */
export class FinishedFiles {
  #list
  #template
  #known = null
  #tell
  #complain

  /** `tell` is called with what was done, `complain` with what went wrong; with nothing when that is over. */
  constructor (list, template, { tell, complain }) {
    this.#list = list
    this.#template = template
    this.#tell = tell
    this.#complain = complain
  }

  /** Asks the server and shows the list again. Files that have just come are marked. */
  async refresh () {
    let files
    try {
      files = await request('GET', '/files')
    } catch (error) {
      return this.#complain(error.message)
    }
    this.#list.replaceChildren(...files.map(file => this.#row(file)))
    document.getElementById('files-empty').hidden = files.length > 0
    document.getElementById('files-count').textContent = files.length > 0 ? `(${files.length})` : ''
    this.#known = new Set(files.map(({ id }) => id))
  }

  #row ({ id, protocol, filename, size, time, checksum, href }) {
    const row = this.#template.content.firstElementChild.cloneNode(true)
    const part = selector => row.querySelector(selector)
    const name = formatName(filename)
    part('.name').textContent = name
    part('.size').textContent = formatSize(size)
    part('time').textContent = formatDate(time)
    part('time').dateTime = new Date(time).toISOString()
    part('.protocol').textContent = protocols.find(known => known.name === protocol)?.title ?? protocol
    if (checksum) part('.checksum').textContent = `${checksum.algorithm} ${checksum.value}`
    else part('.checksum').remove()
    part('.download').href = href
    part('.download').setAttribute('aria-label', `Download ${name}`)
    part('.delete').setAttribute('aria-label', `Delete ${name}`)
    part('.delete').addEventListener('click', () => this.#delete(id, name))
    if (this.#known !== null && !this.#known.has(id)) row.classList.add('new')
    return row
  }

  async #delete (id, name) {
    const dialog = document.getElementById('confirm')
    document.getElementById('confirm-name').textContent = name
    dialog.returnValue = 'no'
    dialog.showModal()
    await new Promise(resolve => dialog.addEventListener('close', resolve, { once: true }))
    if (dialog.returnValue !== 'yes') return
    this.#complain('')
    try {
      await request('DELETE', `/files/${encodeURIComponent(id)}`)
      this.#tell(`${name} is deleted.`)
    } catch (error) {
      this.#complain(`${name} could not be deleted: ${error.message}`)
    }
    await this.refresh()
    document.getElementById('files-title').focus()
  }
}
