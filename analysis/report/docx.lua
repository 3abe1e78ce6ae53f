-- Word's styles for the cells of tables: small type without space around it (reference.docx).
function Table(found)
  if not FORMAT:match("docx") then return nil end
  local function small(rows)
    for _, row in ipairs(rows) do
      for _, cell in ipairs(row.cells) do
        if #cell.contents == 0 then -- an empty cell of the default style would be a tall one
          cell.contents = pandoc.Blocks({pandoc.Para({pandoc.Str("\u{200b}")})})
        end
        local style = pandoc.Attr("", {}, {["custom-style"] = "Table Text"})
        local blocks = cell.contents:walk({Plain = function(it) return pandoc.Para(it.content) end})
        cell.contents = pandoc.Blocks({pandoc.Div(blocks, style)})
      end
    end
  end
  small(found.head.rows)
  for _, body in ipairs(found.bodies) do
    small(body.head)
    small(body.body)
  end
  return found
end
