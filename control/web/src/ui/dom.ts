/* The two helpers that all of ui/ builds its elements with. */

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
