-- What pandoc's own writers lack: Quarto's callouts (a titled box, folded away in HTML on request),
-- tables whose caption stays in place while a narrow screen scrolls them, and Word's styles for both.
-- The embedded renderer runs it; Quarto has all but the last, which `docx.lua` brings.

local function is_callout(div)
  for _, class in ipairs(div.classes) do
    if class:match("^callout%-") then return class end
  end
end

local function escaped(text)
  return text:gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;")
end

local function raw(text) return pandoc.RawBlock("html", text) end

-- The caption of a table and what stands under it.
local function parts_of(div)
  local caption, rest = pandoc.List(), pandoc.List()
  for _, block in ipairs(div.content) do
    if block.t == "Div" and block.classes:includes("caption") then
      caption = block.content
    else
      rest:insert(block)
    end
  end
  return caption, rest
end

local function inlines(blocks)
  return pandoc.utils.blocks_to_inlines(blocks, {pandoc.Space()})
end

local function table_box(div)
  local caption, rest = parts_of(div)
  if FORMAT:match("html") then
    local blocks = pandoc.List({raw(string.format(
      '<figure id="%s" class="table-box"><figcaption>', div.identifier)),
      pandoc.Plain(inlines(caption)), raw("</figcaption>")})
    blocks:extend(rest)
    blocks:insert(raw("</figure>"))
    return blocks
  end
  for _, block in ipairs(rest) do
    if block.t == "Table" then
      block.caption = pandoc.Caption({pandoc.Plain(inlines(caption))})
    end
  end
  div.content = rest
  return div
end

local function callout(div, class)
  local title = div.attributes.title or ""
  local folded = div.attributes.collapse ~= nil -- "false": it can be folded, and stands open
  local open = div.attributes.collapse == "false" and " open" or ""
  local blocks = pandoc.List()
  if FORMAT:match("html") then
    local tag = folded and "details" or "div"
    local head = folded and "summary" or 'p class="callout-title"'
    local foot = folded and "summary" or "p"
    blocks:insert(raw(string.format('<%s class="callout %s"%s><%s>%s</%s>',
      tag, class, open, head, escaped(title), foot)))
    blocks:extend(div.content)
    blocks:insert(raw("</" .. tag .. ">"))
  elseif FORMAT:match("typst") and not folded then
    blocks:insert(pandoc.RawBlock("typst", "#callout(fill: rgb(\"#fff7e8\"), title: ["))
    blocks:insert(pandoc.Plain({pandoc.Str(title)}))
    blocks:insert(pandoc.RawBlock("typst", "], body: ["))
    blocks:extend(div.content)
    blocks:insert(pandoc.RawBlock("typst", "])"))
  elseif FORMAT:match("typst") then
    blocks:insert(pandoc.RawBlock("typst", "#folded["))
    blocks:insert(pandoc.Para({pandoc.Str(title)}))
    blocks:insert(pandoc.RawBlock("typst", "]\n#held["))
    blocks:extend(div.content)
    blocks:insert(pandoc.RawBlock("typst", "]"))
  elseif FORMAT:match("docx") and folded then
    local head = pandoc.Para({pandoc.Str(title)})
    blocks:insert(pandoc.Div({head}, pandoc.Attr("", {}, {["custom-style"] = "Folded Title"})))
    blocks:extend(div.content)
  elseif FORMAT:match("docx") then
    local head = pandoc.Para({pandoc.Strong({pandoc.Str(title)})})
    local body = pandoc.List({head})
    body:extend(div.content)
    blocks:insert(pandoc.Div(body, pandoc.Attr("", {}, {["custom-style"] = "Callout"})))
  else
    blocks:insert(pandoc.Para({pandoc.Strong({pandoc.Str(title)})}))
    blocks:extend(div.content)
  end
  return blocks
end

function Div(div)
  if div.classes:includes("table-box") then return table_box(div) end
  local class = is_callout(div)
  if class then return callout(div, class) end
end

-- Header cells that a Markdown table in the text brings.
function Pandoc(document)
  if not FORMAT:match("html") then return nil end
  return document:walk({
    Table = function(found)
      for _, row in ipairs(found.head.rows) do
        for _, cell in ipairs(row.cells) do cell.attr.attributes.scope = "col" end
      end
      return found
    end,
  })
end
