/* A button that opens a short list of commands above it: More, and the actions on a person. */
import { el, iconButton, textButton } from './dom';

export interface Command {
    text: string;
    act: () => void;
    pressed?: boolean; /* for a command that is a switch */
}

const MARGIN = 6; /* px */

let openMenu: Menu | undefined;

export class Menu {
    readonly element: HTMLElement;
    readonly button: HTMLButtonElement;
    private readonly list = el('div', { class: 'menu', hidden: true });

    /* commands: asked each time it opens. */
    constructor(
        iconName: string,
        label: string,
        private readonly commands: () => Command[],
        className = 'plain',
    ) {
        this.button = iconButton(iconName, label, () => this.toggle(), className);
        this.button.setAttribute('aria-expanded', 'false');
        this.element = el('div', { class: 'menu-root' }, this.button, this.list);
        this.element.addEventListener('keydown', (event) => {
            if (event.key === 'Escape' && !this.list.hidden) {
                this.close();
                this.button.focus();
                event.stopPropagation();
            }
        });
    }

    close(): void {
        this.list.hidden = true;
        this.button.setAttribute('aria-expanded', 'false');
        openMenu = openMenu === this ? undefined : openMenu;
    }

    contains(target: EventTarget | null): boolean {
        return target instanceof Node && this.element.contains(target);
    }

    private toggle(): void {
        if (!this.list.hidden) {
            this.close();
            return;
        }
        openMenu?.close();
        openMenu = this;
        this.list.replaceChildren(
            ...this.commands().map(({ text, act, pressed }) => {
                const made = textButton(
                    text,
                    () => {
                        this.close();
                        act();
                    },
                    'menu-item',
                );
                if (pressed !== undefined) {
                    made.setAttribute('aria-pressed', String(pressed));
                }
                return made;
            }),
        );
        this.list.hidden = false;
        this.button.setAttribute('aria-expanded', 'true');
        const { top } = this.element.getBoundingClientRect();
        this.list.classList.toggle('below', top < window.innerHeight / 2);
        this.place();
        this.list.querySelector('button')?.focus();
    }

    /* One that is fixed: beside its button, as far as the window goes. */
    private place(): void {
        if (getComputedStyle(this.list).position !== 'fixed') {
            return;
        }
        const box = this.element.getBoundingClientRect();
        const { offsetWidth: width, offsetHeight: height } = this.list;
        const within = (at: number, size: number, all: number): string =>
            `${Math.max(MARGIN, Math.min(at, all - size - MARGIN))}px`;
        const below = box.bottom + MARGIN + height < window.innerHeight;

        this.list.style.left = within(box.right - width, width, window.innerWidth);
        this.list.style.top = within(
            below ? box.bottom + MARGIN : box.top - MARGIN - height,
            height,
            window.innerHeight,
        );
    }

    /* It stays with what it stands beside. */
    static onScroll(): void {
        openMenu?.place();
    }
}

document.addEventListener('scroll', () => Menu.onScroll(), true);
document.addEventListener('pointerdown', (event) => {
    if (openMenu !== undefined && !openMenu.contains(event.target)) {
        openMenu.close();
    }
});
