/* The helpers that all of ui/ builds its elements with.  Text goes in as text nodes: nothing
 * that people write is ever read as HTML. */

import { words } from '../words';

type Attributes = Record<string, string | boolean>;

/* Makes an element; a true attribute is set empty, a false one is left out. */
export function el<K extends keyof HTMLElementTagNameMap>(
    tag: K,
    attributes: Attributes = {},
    ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
    const element = document.createElement(tag);

    for (const [name, value] of Object.entries(attributes)) {
        if (value !== false) {
            element.setAttribute(name, value === true ? '' : value);
        }
    }
    element.append(...children);
    return element;
}

/* Gives a parent these children; those that it has in their places are not touched. */
export function putChildren(parent: Element, children: Element[]): void {
    const all = new Set(children);

    children.forEach((child, i) => {
        const there = parent.children[i];

        if (there !== undefined && !all.has(there)) {
            there.replaceWith(child);
        } else if (there !== child) {
            parent.insertBefore(child, there ?? null);
        }
    });
    while (parent.children.length > children.length) {
        parent.lastElementChild?.remove();
    }
}

const LINK = /https?:\/\/[^\s<>"]+[^\s<>"'.,;:!?)\]]/g;

/* A text whose addresses can be followed, in another tab that knows nothing of this one. */
export function linked(text: string): (Node | string)[] {
    const parts: (Node | string)[] = [];
    let at = 0;

    for (const { 0: href, index = 0 } of text.matchAll(LINK)) {
        parts.push(
            text.slice(at, index),
            el('a', { href, target: '_blank', rel: 'noopener noreferrer' }, href),
        );
        at = index + href.length;
    }
    return [...parts, text.slice(at)];
}

/* An icon of the sprite in index.html; decoration only, so hidden from screen readers. */
export function icon(name: string): SVGSVGElement {
    const svgNs = 'http://www.w3.org/2000/svg';
    const svg = document.createElementNS(svgNs, 'svg');
    const use = document.createElementNS(svgNs, 'use');

    use.setAttribute('href', `#icon-${name}`);
    svg.setAttribute('class', 'icon');
    svg.setAttribute('aria-hidden', 'true');
    svg.append(use);
    return svg;
}

/* A button with a text. */
export function textButton(
    text: string,
    act: () => void,
    className = 'small',
): HTMLButtonElement {
    const made = el('button', { type: 'button', class: className }, text);

    made.addEventListener('click', act);
    return made;
}

/* A button with an icon and a name for screen readers. */
export function iconButton(
    iconName: string,
    label: string,
    act: () => void,
    className = 'plain',
): HTMLButtonElement {
    const made = el('button', { type: 'button', class: className });

    made.addEventListener('click', act);
    face(made, iconName, label);
    return made;
}

/* Gives a button another icon and name; nothing happens if it has them. */
export function face(button: HTMLButtonElement, iconName: string, label: string): void {
    if (button.dataset['icon'] !== iconName) {
        button.dataset['icon'] = iconName;
        button.querySelector('.icon')?.remove();
        button.prepend(icon(iconName));
    }
    if (button.title !== label) {
        button.title = label;
        button.setAttribute('aria-label', label);
    }
}

/* A labelled field of a form. */
export function field(
    label: string,
    input: HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement,
    hint?: string,
): HTMLElement {
    const wrapped = el('label', { class: 'field' }, el('span', {}, label), input);

    if (hint !== undefined) {
        wrapped.append(el('small', {}, hint));
    }
    return wrapped;
}

/* Copies it; where no page may, shows it to be copied. Resolves with whether it was copied. */
export async function copyText(text: string): Promise<boolean> {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        window.prompt(words.copyByHand, text);
        return false;
    }
}
